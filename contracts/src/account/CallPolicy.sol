// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a session key may call, in full but for the rules, which are known by the root of their Merkle tree.
/// @param key Name of the session key: its address, or that of a P-256 key.
/// @param startsAt First second at which the session is valid, Unix time.
/// @param endsAt First second at which the session is no longer valid, Unix time.
/// @param maxCalls Most calls over the session's life, under all rules together, inclusive.
/// @param salt Tells two otherwise equal policies apart, as a revoked policy can never be installed again.
/// @param rules Root of the rules' tree; for a single rule its leaf.
struct CallPolicy {
    address key;
    uint40 startsAt;
    uint40 endsAt;
    uint32 maxCalls;
    uint48 salt;
    bytes32 rules;
}

/// @notice One kind of call that a session may make.
/// @param target Whom it calls.
/// @param selector What it calls.
/// @param maxValue Most native coin with one call, in wei, inclusive.
/// @param bounds What its arguments must keep to; a word without a bound may be anything.
struct CallRule {
    address target;
    bytes4 selector;
    uint256 maxValue;
    WordBound[] bounds;
}

/// @notice Bounds of one word of a call's arguments. Arguments of dynamic type stand behind offsets: bound those too.
/// @param index Place of the word behind the selector, from zero.
/// @param min Least it may be, inclusive.
/// @param max Most it may be, inclusive.
struct WordBound {
    uint256 index;
    uint256 min;
    uint256 max;
}

/// @title Hashing and judging of call policies
library CallPolicies {
    /// @dev EIP-712 type whose struct hash is a session's identity.
    bytes32 internal constant SESSION_TYPEHASH =
        keccak256("CallSession(address key,uint40 startsAt,uint40 endsAt,uint32 maxCalls,uint48 salt,bytes32 rules)");

    /// @dev EIP-712 type of what the owner signs to install a session.
    bytes32 internal constant INSTALL_TYPEHASH = keccak256(
        "CallSessionInstall(address key,uint40 startsAt,uint40 endsAt,uint32 maxCalls,uint48 salt,bytes32 rules,bytes32 consent)"
    );

    /// @notice Identity of a session within its account.
    function id(CallPolicy calldata policy) internal pure returns (bytes32) {
        return keccak256(abi.encode(SESSION_TYPEHASH, policy));
    }

    /// @notice EIP-712 struct hash of the installation of a policy to which a customer consented.
    function installStructHash(CallPolicy calldata policy, bytes32 consent) internal pure returns (bytes32) {
        return keccak256(abi.encode(INSTALL_TYPEHASH, policy, consent));
    }

    /// @notice Leaf of a rule in the policy's tree, hashed twice as OpenZeppelin's trees are.
    function leaf(CallRule calldata rule) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(rule))));
    }

    /// @notice Whether a rule lets a call through.
    /// @param rule The rule.
    /// @param value Native coin of the call, in wei.
    /// @param data Selector and arguments.
    function allows(CallRule calldata rule, uint256 value, bytes calldata data) internal pure returns (bool) {
        if (data.length < 4 || bytes4(data) != rule.selector || value > rule.maxValue) return false;
        for (uint256 i = 0; i < rule.bounds.length; ++i) {
            WordBound calldata limit = rule.bounds[i];
            if (limit.index >= (data.length - 4) / 32) return false;
            uint256 start = 4 + 32 * limit.index;
            uint256 word = uint256(bytes32(data[start:start + 32]));
            if (word < limit.min || word > limit.max) return false;
        }
        return true;
    }

    /// @notice Whether a rule that moves tokens says whose and how many. `transfer`, `approve`, `increaseAllowance` and
    /// `transferFrom` need every party fixed and the amount below 2**96; other known ways to give tokens away (ERC-721,
    /// ERC-777, ERC-1155, ERC-1363, burning) can't be ruled at all.
    function keepsTokens(CallRule calldata rule) internal pure returns (bool) {
        bytes4 selector = rule.selector;
        if (selector == 0xa9059cbb || selector == 0x095ea7b3 || selector == 0x39509351) {
            return _isFixed(rule, 0) && _isBounded(rule, 1);
        }
        if (selector == 0x23b872dd) return _isFixed(rule, 0) && _isFixed(rule, 1) && _isBounded(rule, 2);
        return selector != 0x42842e0e // safeTransferFrom(address,address,uint256)
            && selector != 0xb88d4fde // safeTransferFrom(address,address,uint256,bytes)
            && selector != 0xa22cb465 // setApprovalForAll(address,bool)
            && selector != 0xf242432a // safeTransferFrom(address,address,uint256,uint256,bytes)
            && selector != 0x2eb2c2d6 // safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)
            && selector != 0x9bd9bbc6 // send(address,uint256,bytes)
            && selector != 0x959b8c3f // authorizeOperator(address)
            && selector != 0x1296ee62 // transferAndCall(address,uint256)
            && selector != 0x4000aea0 // transferAndCall(address,uint256,bytes)
            && selector != 0x3177029f // approveAndCall(address,uint256)
            && selector != 0xcae9ca51 // approveAndCall(address,uint256,bytes)
            && selector != 0x42966c68; // burn(uint256)
    }

    function _isFixed(CallRule calldata rule, uint256 index) private pure returns (bool) {
        for (uint256 i = 0; i < rule.bounds.length; ++i) {
            if (rule.bounds[i].index == index && rule.bounds[i].min == rule.bounds[i].max) return true;
        }
        return false;
    }

    function _isBounded(CallRule calldata rule, uint256 index) private pure returns (bool) {
        for (uint256 i = 0; i < rule.bounds.length; ++i) {
            if (rule.bounds[i].index == index && rule.bounds[i].max <= type(uint96).max) return true;
        }
        return false;
    }
}
