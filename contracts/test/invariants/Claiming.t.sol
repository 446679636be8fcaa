// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PayoutClaims} from "../../src/PayoutClaims.sol";
import {World} from "../support/World.sol";
import {Game, Player} from "./Game.sol";

/// @dev Opens rounds of two leaves, claims, claims again, lets time pass, takes back what is left; and keeps books.
contract Claimant is World, Player {
    address public constant PAID = address(0xADA);
    bytes32[] private _rounds;
    mapping(bytes32 => uint96[2]) private _amounts;
    mapping(bytes32 => uint256) private _claimed;
    uint256 private _paid;
    uint256 private _oldest;
    uint256 public minted;

    function openRound(uint64 first, uint64 second, uint64 missing, uint32 life) external plays {
        uint96[2] memory amounts = [uint96(first), uint96(second)];
        bytes16 ref = bytes16(uint128(_rounds.length + 1));
        bytes32 id = claims.roundIdOf(address(this), ref);
        uint256 held = uint256(first) + second - missing % (uint256(first) + second + 1);
        if (held == 0) return;
        usd.mint(address(this), held);
        minted += held;
        usd.approve(address(claims), held);
        (bytes32 a, bytes32 b) = (_leaf(id, 0, amounts[0]), _leaf(id, 1, amounts[1]));
        bytes32 root = a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
        claims.open(ref, address(usd), uint96(held), root, uint48(block.timestamp + bound(life, 1 days, 10 days)));
        _rounds.push(id);
        _amounts[id] = amounts;
        success();
    }

    /// @dev Every other time of the newest round, as most of the others are over.
    function claim(uint8 which, bool second, uint96 other, bool lies) external plays {
        if (_rounds.length == 0) return;
        bytes32 id = _rounds[which % 2 == 0 ? _rounds.length - 1 : which % _rounds.length];
        uint256 index = second ? 1 : 0;
        uint96 amount = _amounts[id][index];
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(id, 1 - index, _amounts[id][1 - index]);
        uint96 told = lies ? other : amount;
        try claims.claim(id, index, PAID, told, proof) {
            isTrue(told == amount, "another amount was paid");
            isTrue(_claimed[id] & (1 << index) == 0, "a leaf was paid twice");
            _claimed[id] |= 1 << index;
            _paid += amount;
            success();
        } catch {}
    }

    function pass(uint32 time) external plays {
        vm.warp(block.timestamp + bound(time, 1 hours, 5 days));
        success();
    }

    /// @dev Every other time the oldest round that was not tried when it was over, as few rounds are over soon.
    function takeBack(uint8 which) external plays {
        if (_rounds.length == 0) return;
        uint256 place = which % 2 == 0 && _oldest < _rounds.length ? _oldest : which % _rounds.length;
        (, uint48 expiresAt,,,) = claims.rounds(_rounds[place]);
        if (place == _oldest && block.timestamp > expiresAt) ++_oldest;
        try claims.returnLeft(_rounds[place]) {
            success();
        } catch {}
    }

    /// @dev What is held, what the rounds say is left, what was paid by the books and by the token, what was returned.
    function books()
        external
        view
        returns (uint256 held, uint256 left, uint256 paid, uint256 received, uint256 returned)
    {
        for (uint256 i = 0; i < _rounds.length; ++i) {
            (,,, uint96 units,) = claims.rounds(_rounds[i]);
            left += units;
        }
        return (usd.balanceOf(address(claims)), left, _paid, usd.balanceOf(PAID), usd.balanceOf(address(this)));
    }

    function _leaf(bytes32 id, uint256 index, uint96 amount) private view returns (bytes32) {
        return claims.leafOf(id, index, PAID, amount);
    }
}

contract ClaimingInvariants is Game {
    Claimant private claimant;

    function setUp() public {
        claimant = new Claimant();
        claimant.setUp();
        bytes4[] memory selectors = new bytes4[](4);
        selectors[0] = Claimant.openRound.selector;
        selectors[1] = Claimant.claim.selector;
        selectors[2] = Claimant.pass.selector;
        selectors[3] = Claimant.takeBack.selector;
        play(claimant, selectors, new bytes4[](0));
    }

    /// @dev Escrow holds what its rounds say, and every unit is held, paid once to whom it was meant for, or back home.
    function invariant_escrow() external view {
        (uint256 held, uint256 left, uint256 paid, uint256 received, uint256 returned) = claimant.books();
        require(held == left, "the escrow holds another sum than its rounds");
        require(paid == received, "somebody was paid what the books don't know");
        require(held + paid + returned == claimant.minted(), "units appeared or disappeared");
    }
}
