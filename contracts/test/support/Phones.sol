// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {Vm} from "./Vm.sol";

/// @dev What phones sign: raw P-256 signatures and WebAuthn assertions.
library Phones {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address private constant PRECOMPILE = address(0x100);

    /// @dev Puts a stand-in where the precompile is on some chains, which knows this one signature of a phone and the
    /// one that OpenZeppelin asks any precompile for: for plays so long that Solidity takes too much time to verify.
    function witness(bytes32 digest, bytes memory signature) internal {
        VM.clearMockedCalls();
        bytes memory known = abi.encode(
            0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023,
            uint256(5),
            uint256(1),
            0xa71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957,
            0x5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b
        );
        VM.mockCall(PRECOMPILE, known, abi.encode(1));
        (uint256 x, uint256 y) = (_word(signature, 0), _word(signature, 1));
        (uint256 r, uint256 s) = (_word(signature, 2), _word(signature, 3));
        VM.mockCall(PRECOMPILE, abi.encode(_signedDigest(digest, signature), r, s, x, y), abi.encode(1));
    }

    function nameOf(uint256 secret) internal pure returns (address) {
        (uint256 x, uint256 y) = VM.publicKeyP256(secret);
        return address(uint160(uint256(keccak256(abi.encodePacked(x, y)))));
    }

    function low(bytes32 s) internal pure returns (uint256) {
        return uint256(s) > P256.N / 2 ? P256.N - uint256(s) : uint256(s);
    }

    function sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = VM.signP256(secret, digest);
        (uint256 x, uint256 y) = VM.publicKeyP256(secret);
        return abi.encodePacked(x, y, r, low(s));
    }

    /// @dev An assertion with the digest as its challenge; flags 0x05 say that the user was there and was verified.
    function assertion(uint256 secret, bytes32 digest, uint8 flags) internal pure returns (bytes memory) {
        bytes memory authenticatorData = abi.encodePacked(sha256("utility.example"), flags, uint32(7));
        string memory clientData = string.concat(
            '{"type":"webauthn.get","challenge":"',
            Base64.encodeURL(abi.encodePacked(digest)),
            '","origin":"https://utility.example","crossOrigin":false}'
        );
        bytes32 signed = sha256(abi.encodePacked(authenticatorData, sha256(bytes(clientData))));
        (bytes32 r, bytes32 s) = VM.signP256(secret, signed);
        (uint256 x, uint256 y) = VM.publicKeyP256(secret);
        return abi.encodePacked(x, y, abi.encode(r, low(s), uint256(23), uint256(1), authenticatorData, clientData));
    }

    /// @dev What the key signed: the digest, or the assertion whose challenge it is.
    function _signedDigest(bytes32 digest, bytes memory signature) private pure returns (bytes32) {
        if (signature.length == 128) return digest;
        bytes memory fields = new bytes(signature.length - 64);
        for (uint256 i = 0; i < fields.length; i += 32) {
            uint256 word = _word(signature, 2 + i / 32);
            assembly ("memory-safe") {
                mstore(add(add(fields, 32), i), word)
            }
        }
        (,,,, bytes memory authenticatorData, string memory clientData) =
            abi.decode(fields, (uint256, uint256, uint256, uint256, bytes, string));
        return sha256(abi.encodePacked(authenticatorData, sha256(bytes(clientData))));
    }

    function _word(bytes memory data, uint256 index) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(data, add(32, mul(32, index))))
        }
    }
}
