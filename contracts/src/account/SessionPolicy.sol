// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a session key may pay, in full. The chain keeps one word per session; the policy itself travels
/// packed with each payment and is recognised by its hash, so no limit is ever rounded to fit a storage slot.
/// @param key Address of the session key that signs payments.
/// @param payee Only address that may be paid.
/// @param token Only token that bills may be paid in.
/// @param feeToken Other token in which the network fee may be paid, or zero for none.
/// @param maxPerPayment Most that may leave in `token` with one payment, fee included, in base units, inclusive.
/// @param maxPerPeriod Most that may leave in `token` in one period, fees included, in base units, inclusive.
/// @param maxTotal Most that may leave in `token` over the session's life, fees included, in base units, inclusive.
/// @param maxFee Most network fee per payment when it is paid in `token`, in base units, inclusive.
/// @param maxFeeInFeeToken Most network fee per payment when it is paid in `feeToken`, in base units, inclusive.
/// @param startsAt First second at which the session is valid, Unix time.
/// @param endsAt First second at which the session is no longer valid, Unix time.
/// @param periodSeconds Length of a period; period k is [startsAt + k * periodSeconds, startsAt + (k + 1) *
/// periodSeconds). Zero makes the whole life one period.
/// @param salt Tells two otherwise equal policies apart, as a revoked policy can never be installed again.
struct SessionPolicy {
    address key;
    address payee;
    address token;
    address feeToken;
    uint96 maxPerPayment;
    uint96 maxPerPeriod;
    uint96 maxTotal;
    uint96 maxFee;
    uint96 maxFeeInFeeToken;
    uint40 startsAt;
    uint40 endsAt;
    uint32 periodSeconds;
    uint48 salt;
}

/// @title Packing and hashing of session policies
/// @notice Five words: an address in the high 160 bits and an amount in the low 96 bits of the first four, the fee
/// limit and the times in the fifth.
library SessionPolicies {
    /// @dev EIP-712 type of what the owner signs to install a session.
    bytes32 internal constant INSTALL_TYPEHASH = keccak256(
        "SessionInstall(address key,address payee,address token,address feeToken,uint96 maxPerPayment,uint96 maxPerPeriod,uint96 maxTotal,uint96 maxFee,uint96 maxFeeInFeeToken,uint40 startsAt,uint40 endsAt,uint32 periodSeconds,uint48 salt,bytes32 consent)"
    );

    /// @notice Shortest period that a policy may ask for, in seconds.
    uint256 internal constant MIN_PERIOD_SECONDS = 3600;

    /// @notice Packs a policy into its five words.
    function pack(SessionPolicy memory policy) internal pure returns (bytes32[5] memory words) {
        words[0] = _join(policy.key, policy.maxPerPayment);
        words[1] = _join(policy.payee, policy.maxPerPeriod);
        words[2] = _join(policy.token, policy.maxTotal);
        words[3] = _join(policy.feeToken, policy.maxFeeInFeeToken);
        words[4] = bytes32(
            (uint256(policy.maxFee) << 160) | (uint256(policy.startsAt) << 120) | (uint256(policy.endsAt) << 80)
                | (uint256(policy.periodSeconds) << 48) | policy.salt
        );
    }

    /// @notice Reads the five words back into a policy.
    function unpack(bytes32[5] calldata words) internal pure returns (SessionPolicy memory policy) {
        policy.key = address(bytes20(words[0]));
        policy.maxPerPayment = uint96(uint256(words[0]));
        policy.payee = address(bytes20(words[1]));
        policy.maxPerPeriod = uint96(uint256(words[1]));
        policy.token = address(bytes20(words[2]));
        policy.maxTotal = uint96(uint256(words[2]));
        policy.feeToken = address(bytes20(words[3]));
        policy.maxFeeInFeeToken = uint96(uint256(words[3]));
        uint256 times = uint256(words[4]);
        policy.maxFee = uint96(times >> 160);
        policy.startsAt = uint40(times >> 120);
        policy.endsAt = uint40(times >> 80);
        policy.periodSeconds = uint32(times >> 48);
        policy.salt = uint48(times);
    }

    /// @notice Identity of a session within its account: the hash of its five words.
    function id(bytes32[5] calldata words) internal pure returns (bytes32 sessionId) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, words, 160)
            sessionId := keccak256(free, 160)
        }
    }

    /// @notice EIP-712 struct hash of the installation of a policy to which a customer consented.
    /// @param words Packed policy.
    /// @param consent Digest of the frozen terms that the customer approved.
    function installStructHash(bytes32[5] calldata words, bytes32 consent) internal pure returns (bytes32) {
        SessionPolicy memory policy = unpack(words);
        return keccak256(abi.encode(INSTALL_TYPEHASH, policy, consent));
    }

    /// @notice Whether a policy is one that an account can enforce: parties named, times forward, periods countable.
    function isEnforceable(bytes32[5] calldata words) internal pure returns (bool) {
        SessionPolicy memory policy = unpack(words);
        if (policy.key == address(0) || policy.payee == address(0) || policy.token == address(0)) return false;
        if (policy.endsAt <= policy.startsAt || policy.feeToken == policy.token) return false;
        if (policy.periodSeconds == 0) return true;
        return policy.periodSeconds >= MIN_PERIOD_SECONDS
            && (policy.endsAt - policy.startsAt) / policy.periodSeconds <= type(uint24).max;
    }

    function _join(address who, uint96 units) private pure returns (bytes32) {
        return bytes32((uint256(uint160(who)) << 96) | units);
    }
}
