// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";

/// @title Signatures of P-256 keys: phones' keystores and passkeys
/// @notice Says who signed. A P-256 key is named by the low 160 bits of keccak256(x || y), the way a secp256k1 key is
/// by its address, so it stands wherever an address of a signer does and costs no storage.
/// @dev OpenZeppelin verifies: by the precompile of RIP-7212 and EIP-7951 at 0x100, or in Solidity where there is none;
/// `s` in the upper half of the order is refused. Keeps nothing and obeys nobody; accounts share one. Of a passkey the
/// origin and the relying party are the authenticator's to check; the user must have been verified (UV).
contract Passkeys {
    uint256 private constant KEY_LENGTH = 64;
    uint256 private constant RAW_LENGTH = 128;

    /// @notice Name of the key that made a signature, or zero if none did.
    /// @param digest What was signed, as is; a passkey signed it as its challenge.
    /// @param signature x, y, r, s (128 bytes), or x, y and the ABI encoding of a `WebAuthn.WebAuthnAuth`.
    function signerOf(bytes32 digest, bytes calldata signature) external view returns (address signer) {
        if (signature.length < RAW_LENGTH) return address(0);
        bytes32 x = bytes32(signature[:32]);
        bytes32 y = bytes32(signature[32:]);
        bool genuine;
        if (signature.length == RAW_LENGTH) {
            genuine = P256.verify(digest, bytes32(signature[64:]), bytes32(signature[96:]), x, y);
        } else {
            (bool readable, WebAuthn.WebAuthnAuth calldata auth) = WebAuthn.tryDecodeAuth(signature[KEY_LENGTH:]);
            genuine = readable && WebAuthn.verify(abi.encodePacked(digest), auth, x, y);
        }
        return genuine ? address(uint160(uint256(keccak256(signature[:KEY_LENGTH])))) : address(0);
    }
}
