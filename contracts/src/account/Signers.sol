// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Signatures of single keys
library Signers {
    /// @notice Whether `signer` made `signature` over `digest`.
    /// @param signer Expected signer; zero never signs.
    /// @param digest What was signed, as is.
    /// @param signature r, s, v: 65 bytes with s in the lower half and v 27 or 28.
    function isSigner(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        return signer != address(0) && recover(digest, signature) == signer;
    }

    /// @notice Who made `signature` over `digest`, or zero if it is no signature or a malleable one.
    /// @param digest What was signed, as is.
    /// @param signature r, s, v: 65 bytes with s in the lower half and v 27 or 28.
    function recover(bytes32 digest, bytes calldata signature) internal pure returns (address signer) {
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }
}
