// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Payouts in batches
/// @notice Pays many recipients from the caller's allowance, once per name: a batch sent twice pays once.
contract Payouts {
    using SafeERC20 for IERC20;

    /// @notice Whether a payer has used a name.
    mapping(address payer => mapping(bytes16 ref => bool)) public isPaid;

    /// @notice One recipient was paid.
    /// @param ref Name of the batch.
    /// @param payer Who paid.
    /// @param recipient Who was paid.
    /// @param token Token paid in.
    /// @param amount Base units of `token`.
    event PayoutMade(
        bytes16 indexed ref, address indexed payer, address indexed recipient, address token, uint256 amount
    );

    /// @notice The payer has paid a batch of this name before.
    /// @param payer Who pays.
    /// @param ref Name of the batch.
    error AlreadyPaid(address payer, bytes16 ref);

    /// @notice Recipients and amounts don't pair up.
    /// @param recipients How many recipients.
    /// @param amounts How many amounts.
    error LengthsDiffer(uint256 recipients, uint256 amounts);

    /// @notice A batch must pay somebody.
    error NobodyToPay();

    /// @notice Pays a batch; all of it or nothing.
    /// @param ref Name of the batch, used once by each payer.
    /// @param token Token to pay in; the caller has allowed this contract the sum.
    /// @param recipients Who is paid.
    /// @param amounts What each is paid, in base units.
    function payBatch(bytes16 ref, address token, address[] calldata recipients, uint256[] calldata amounts) external {
        if (recipients.length != amounts.length) revert LengthsDiffer(recipients.length, amounts.length);
        if (recipients.length == 0) revert NobodyToPay();
        if (isPaid[msg.sender][ref]) revert AlreadyPaid(msg.sender, ref);
        isPaid[msg.sender][ref] = true;
        for (uint256 i = 0; i < recipients.length; ++i) {
            IERC20(token).safeTransferFrom(msg.sender, recipients[i], amounts[i]);
            emit PayoutMade(ref, msg.sender, recipients[i], token, amounts[i]);
        }
    }
}
