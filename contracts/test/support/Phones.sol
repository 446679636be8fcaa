// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {Vm} from "./Vm.sol";

/// @dev What phones sign: raw P-256 signatures and WebAuthn assertions.
library Phones {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

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
}
