// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Owner of a deposit and a stake at the EntryPoint
/// @notice Anybody may add to the deposit; only the owner takes from it, and from the stake.
abstract contract DepositOwner is Ownable2Step {
    using SafeERC20 for IERC20;

    /// @notice EntryPoint v0.8 that holds the deposit.
    IEntryPoint public immutable ENTRY_POINT;

    /// @notice Only the EntryPoint may call this.
    /// @param caller Who called.
    error NotEntryPoint(address caller);

    constructor(IEntryPoint entryPoint, address owner) Ownable(owner) {
        ENTRY_POINT = entryPoint;
    }

    modifier onlyEntryPoint() {
        if (msg.sender != address(ENTRY_POINT)) revert NotEntryPoint(msg.sender);
        _;
    }

    /// @notice Adds to the deposit that pays for gas.
    function deposit() external payable {
        ENTRY_POINT.depositTo{value: msg.value}(address(this));
    }

    /// @notice Deposit that pays for gas, in wei.
    function getDeposit() external view returns (uint256) {
        return ENTRY_POINT.balanceOf(address(this));
    }

    /// @notice Takes from the deposit.
    /// @param to Who gets it.
    /// @param amountWei How much, in wei.
    function withdrawTo(address payable to, uint256 amountWei) external onlyOwner {
        ENTRY_POINT.withdrawTo(to, amountWei);
    }

    /// @notice Adds to the stake that bundlers ask for.
    /// @param unstakeDelaySeconds Shortest wait between unlocking and withdrawing, in seconds.
    function addStake(uint32 unstakeDelaySeconds) external payable onlyOwner {
        ENTRY_POINT.addStake{value: msg.value}(unstakeDelaySeconds);
    }

    /// @notice Starts the wait for the stake.
    function unlockStake() external onlyOwner {
        ENTRY_POINT.unlockStake();
    }

    /// @notice Takes the stake after the wait.
    /// @param to Who gets it.
    function withdrawStake(address payable to) external onlyOwner {
        ENTRY_POINT.withdrawStake(to);
    }

    /// @notice Takes tokens that somebody sent here.
    /// @param token Which.
    /// @param to Who gets them.
    /// @param amount Base units.
    function withdrawToken(IERC20 token, address to, uint256 amount) external onlyOwner {
        token.safeTransfer(to, amount);
    }
}
