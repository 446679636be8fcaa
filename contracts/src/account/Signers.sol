// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Passkeys} from "./Passkeys.sol";

/// @title Signatures of single keys, on secp256k1 or P-256
library Signers {
    /// @dev Half the order of secp256k1: an `s` above it is the malleable twin of one below (EIP-2).
    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Whether `signer` made `signature` over `digest`.
    /// @param signer Expected signer: the key's address, or the name of a P-256 key; zero never signs.
    /// @param digest What was signed, as is.
    /// @param signature r, s, v: exactly 65 bytes with s in the lower half and v 27 or 28; or as `Passkeys` reads it.
    /// @param passkeys Who knows P-256; asked for signatures longer than 65 bytes alone.
    function isSigner(address signer, bytes32 digest, bytes calldata signature, Passkeys passkeys)
        internal
        view
        returns (bool)
    {
        if (signer == address(0)) return false;
        if (signature.length > 65) return passkeys.signerOf(digest, signature) == signer;
        return recover(digest, signature) == signer;
    }

    /// @notice Who made a secp256k1 `signature` over `digest`, or zero if it is no signature or a malleable one.
    /// @param digest What was signed, as is.
    /// @param signature r, s, v: exactly 65 bytes with s in the lower half and v 27 or 28.
    function recover(bytes32 digest, bytes calldata signature) internal view returns (address signer) {
        if (signature.length != 65) return address(0);
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, digest)
            mstore(add(free, 32), byte(0, calldataload(add(signature.offset, 64))))
            calldatacopy(add(free, 64), signature.offset, 64)
            // The precompile answers nothing to what it can't recover; the scratch word stays zero then. It answers
            // only to v 27 and 28.
            mstore(0, 0)
            if iszero(gt(mload(add(free, 96)), HALF_ORDER)) { pop(staticcall(gas(), 1, free, 128, 0, 32)) }
            signer := mload(0)
        }
    }
}
