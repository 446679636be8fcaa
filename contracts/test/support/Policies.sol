// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SessionPolicy} from "../../src/account/SessionPolicy.sol";

/// @dev Packing and hashing of policies written a second time, from the documentation.
library Policies {
    function pack(SessionPolicy memory policy) internal pure returns (bytes32[5] memory words) {
        bytes memory all = abi.encodePacked(
            abi.encodePacked(policy.key, policy.maxPerPayment, policy.payee, policy.maxPerPeriod),
            abi.encodePacked(policy.token, policy.maxTotal, policy.feeToken, policy.maxFeeInFeeToken),
            abi.encodePacked(policy.maxFee, policy.startsAt, policy.endsAt, policy.periodSeconds, policy.salt)
        );
        for (uint256 i = 0; i < 5; ++i) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(all, add(32, mul(32, i))))
            }
            words[i] = word;
        }
    }

    function unpack(bytes32[5] memory words) internal pure returns (SessionPolicy memory policy) {
        uint256 times = uint256(words[4]);
        policy = SessionPolicy({
            key: address(bytes20(words[0])),
            payee: address(bytes20(words[1])),
            token: address(bytes20(words[2])),
            feeToken: address(bytes20(words[3])),
            maxPerPayment: uint96(uint256(words[0])),
            maxPerPeriod: uint96(uint256(words[1])),
            maxTotal: uint96(uint256(words[2])),
            maxFee: uint96(times >> 160),
            maxFeeInFeeToken: uint96(uint256(words[3])),
            startsAt: uint40(times >> 120),
            endsAt: uint40(times >> 80),
            periodSeconds: uint32(times >> 48),
            salt: uint48(times)
        });
    }

    function id(bytes32[5] memory words) internal pure returns (bytes32) {
        return keccak256(abi.encode(words));
    }

    function domain(address account) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OpenVPP Account"),
                keccak256("1"),
                block.chainid,
                account
            )
        );
    }

    function installDigest(bytes32[5] memory words, bytes32 consent, address account) internal view returns (bytes32) {
        bytes32 typehash = keccak256(
            "SessionInstall(address key,address payee,address token,address feeToken,uint96 maxPerPayment,uint96 maxPerPeriod,uint96 maxTotal,uint96 maxFee,uint96 maxFeeInFeeToken,uint40 startsAt,uint40 endsAt,uint32 periodSeconds,uint48 salt,bytes32 consent)"
        );
        bytes32 structHash = keccak256(abi.encode(typehash, unpack(words), consent));
        return keccak256(abi.encodePacked("\x19\x01", domain(account), structHash));
    }

    function paymentDigest(
        bytes32[5] memory words,
        bytes16 ref,
        uint256 amount,
        uint256 fee,
        bool inFeeToken,
        uint32 sequence,
        uint40 deadline,
        address account
    ) internal view returns (bytes32) {
        bytes32 typehash = keccak256(
            "BillPayment(bytes32 sessionId,bytes16 ref,uint256 amount,uint256 fee,bool inFeeToken,uint32 sequence,uint40 deadline)"
        );
        bytes32 structHash =
            keccak256(abi.encode(typehash, id(words), ref, amount, fee, inFeeToken, sequence, deadline));
        return keccak256(abi.encodePacked("\x19\x01", domain(account), structHash));
    }
}
