// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev A token that agrees to every transfer.
contract Agreed {
    function transfer(address, uint256) external pure returns (bool) {
        return true;
    }
}
