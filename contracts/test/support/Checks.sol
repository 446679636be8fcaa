// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @dev Assertions that say what they saw.
abstract contract Checks {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Unequal(string what, uint256 got, uint256 wanted);
    error Untrue(string what);

    function equal(uint256 got, uint256 wanted, string memory what) internal pure {
        if (got != wanted) revert Unequal(what, got, wanted);
    }

    function equal(bytes32 got, bytes32 wanted, string memory what) internal pure {
        if (got != wanted) revert Unequal(what, uint256(got), uint256(wanted));
    }

    function equal(address got, address wanted, string memory what) internal pure {
        if (got != wanted) revert Unequal(what, uint160(got), uint160(wanted));
    }

    function isTrue(bool condition, string memory what) internal pure {
        if (!condition) revert Untrue(what);
    }

    function bound(uint256 value, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + value % (most - least + 1);
    }
}
