// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What comes with a call that a session key signed
/// @notice The key's signature and, while the session is not installed, the owner's leave to install it. A leave is
/// the consent (32 bytes: the digest of the frozen terms that the customer approved) and the owner's signature of the
/// install digest. Three forms: the key's r, s, v (65 bytes); those and a leave by r, s, v (162 bytes); or, for keys
/// and owners on other curves, the length of the key's signature (2 bytes), that signature, and the leave or nothing.
library SessionSignatures {
    /// @notice Length of a consent, the head of a leave.
    uint256 internal constant CONSENT_LENGTH = 32;

    uint256 private constant KEY_LENGTH = 65;
    uint256 private constant BOTH_LENGTH = 162;

    // The offset and the length of one calldata slice are two words, which slither takes for one written twice.
    // slither-disable-start write-after-write

    /// @notice Takes the two apart; of what is in none of the forms the key's part is empty, and nobody signs so.
    /// @param signature The key's signature and the owner's leave, or the former alone.
    /// @return ofKey The key's signature.
    /// @return consented The owner's leave, or nothing.
    function split(bytes calldata signature) internal pure returns (bytes calldata ofKey, bytes calldata consented) {
        assembly ("memory-safe") {
            let length := signature.length
            ofKey.offset := signature.offset
            ofKey.length := length
            consented.offset := signature.offset
            consented.length := 0
            if iszero(eq(length, KEY_LENGTH)) {
                ofKey.length := 0
                switch eq(length, BOTH_LENGTH)
                case 1 {
                    ofKey.length := KEY_LENGTH
                    consented.offset := add(signature.offset, KEY_LENGTH)
                    consented.length := sub(BOTH_LENGTH, KEY_LENGTH)
                }
                default {
                    // The end is two at least, so beyond what has no two bytes.
                    let end := add(2, shr(240, calldataload(signature.offset)))
                    if iszero(gt(end, length)) {
                        ofKey.offset := add(signature.offset, 2)
                        ofKey.length := sub(end, 2)
                        consented.offset := add(signature.offset, end)
                        consented.length := sub(length, end)
                    }
                }
            }
        }
    }
    // slither-disable-end write-after-write
}
