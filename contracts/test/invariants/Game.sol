// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Checks} from "../support/Checks.sol";

/// @dev What an invariant plays with: counts its actions, and which of them did what they are for.
abstract contract Player is Checks {
    uint256 public played;
    mapping(bytes4 action => uint256 times) public succeeded;

    modifier plays() {
        ++played;
        _;
    }

    /// @dev The action that is being played came to what it is for.
    function success() internal {
        ++succeeded[msg.sig];
    }
}

/// @dev Tells forge whom to play, and that a long run must have seen each action succeed: nothing is proven by calls
/// that are all refused.
abstract contract Game is Checks {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant LONG = 400;

    Player private _player;
    bytes4[] private _all;
    bytes4[] private _needed;

    /// @param player Whom to play.
    /// @param needed Actions that a long run sees succeed.
    /// @param rare Actions that it may not.
    function play(Player player, bytes4[] memory needed, bytes4[] memory rare) internal {
        _player = player;
        _needed = needed;
        for (uint256 i = 0; i < needed.length; ++i) {
            _all.push(needed[i]);
        }
        for (uint256 i = 0; i < rare.length; ++i) {
            _all.push(rare[i]);
        }
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_player);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory selectors) {
        selectors = new FuzzSelector[](1);
        selectors[0] = FuzzSelector(address(_player), _all);
    }

    function afterInvariant() external view {
        if (_player.played() < LONG) return;
        for (uint256 i = 0; i < _needed.length; ++i) {
            if (_player.succeeded(_needed[i]) == 0) revert Unequal("an action never succeeded", i, uint32(_needed[i]));
        }
    }
}
