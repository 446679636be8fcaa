// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Bytecode of the account's proxy
/// @notice A proxy of 104 bytes. It delegates to the implementation in the ERC-1967 slot or, until the first upgrade
/// writes that slot, to the one built into its code; so deploying an account writes no storage for it. Its last
/// 20 bytes are the account's first owner, which makes the owner part of the address.
library AccountProxies {
    /// @notice Where the first owner stands in the proxy's code.
    uint256 internal constant OWNER_OFFSET = 84;

    /// @notice Length of the proxy's code.
    uint256 internal constant CODE_LENGTH = 104;

    /// @notice Creation code of the proxy.
    /// @param implementation Implementation used until an upgrade names another.
    /// @param owner First owner of the account.
    function creationCode(address implementation, address owner) internal pure returns (bytes memory) {
        // creation:  PUSH1 68 DUP1 PUSH1 09 PUSH0 CODECOPY PUSH0 RETURN
        // runtime:   copy calldata; SLOAD the ERC-1967 slot; when zero take the PUSH20 below;
        //            DELEGATECALL; copy the answer; REVERT or RETURN it
        return abi.encodePacked(
            hex"60688060095f395ff3",
            hex"363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc5480604457",
            hex"5073",
            implementation,
            hex"5b5af43d5f5f3e5f3d91605257fd5bf3",
            owner
        );
    }
}
