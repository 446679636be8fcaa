// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {CallPolicies, CallPolicy, CallRule} from "./CallPolicy.sol";
import {Sessions} from "./Sessions.sol";
import {SessionStates} from "./SessionStates.sol";

/// @title Sessions that make other calls
/// @notice A second form of session, for what is no bill: to enroll, to leave, to claim a payout, to delegate a device.
/// Policy, rule and proof come with each call; the chain keeps one word a session, whose flags are those of bill
/// sessions, so that the same calls stop and end both. It counts calls where the others count units.
/// @dev A session never calls the account itself or the EntryPoint. It moves tokens only by a rule that fixes every
/// party and bounds the amount (`CallPolicies.keepsTokens`); what other functions of a target do with tokens that it
/// may take anyway is for whoever writes the rule to know. While the owner is a custodian, each kind of call (target and
/// selector) must have been announced 48 hours before: `allowCalls`. Calls come through the EntryPoint alone.
abstract contract CallSessions is Sessions {
    using CallPolicies for CallPolicy;
    using CallPolicies for CallRule;
    using SessionStates for uint256;

    /// @notice A session for calls was installed.
    /// @param sessionId Hash of its policy.
    /// @param key Session key.
    /// @param consent Digest of the frozen terms that the customer approved, as the owner signed it.
    /// @param policy The policy.
    event CallSessionInstalled(
        bytes32 indexed sessionId, address indexed key, bytes32 indexed consent, CallPolicy policy
    );

    /// @notice A session made a call.
    /// @param sessionId Hash of its policy.
    /// @param target Whom it called.
    /// @param selector What it called.
    /// @param value Native coin that went with it, in wei.
    event SessionCalled(bytes32 indexed sessionId, address indexed target, bytes4 indexed selector, uint256 value);

    /// @notice No rule of the policy lets this call through.
    /// @param target Whom it would call.
    /// @param selector What it would call, or zero.
    error CallNotAllowed(address target, bytes4 selector);

    /// @notice The session has made all its calls.
    /// @param limit Most that it may make.
    error NoCallsLeft(uint256 limit);

    /// @notice Installs a session with the owner's leave, whoever brings it. Does nothing if it is live already.
    /// @param policy The policy.
    /// @param leave The consent (32 bytes) and the owner's signature of `callSessionInstallDigest(policy, consent)`.
    function installCallSession(CallPolicy calldata policy, bytes calldata leave) external {
        if (_admitCallSession(policy, policy.id(), leave) == 0) revert NotSignedBy(_sessionOwner());
    }

    /// @notice Digest that the owner signs to install a session.
    /// @param policy The policy.
    /// @param consent Digest of the frozen terms that the customer approved.
    function callSessionInstallDigest(CallPolicy calldata policy, bytes32 consent) external view returns (bytes32) {
        return _typedDataHash(policy.installStructHash(consent));
    }

    /// @notice Identity of a session for calls: what revokes, freezes and `session` take.
    /// @param policy The policy.
    function callSessionId(CallPolicy calldata policy) external pure returns (bytes32) {
        return policy.id();
    }

    /// @dev Makes sure that a session is live, installing it if it is new and the owner's leave came with the call.
    /// @return state The session's word; zero if the owner's signature was needed and is another's.
    function _admitCallSession(CallPolicy calldata policy, bytes32 sessionId, bytes calldata leave)
        internal
        returns (uint256 state)
    {
        state = _liveOrNew(sessionId, leave);
        if (state != 0) return state;
        if (policy.key == address(0) || policy.endsAt <= policy.startsAt || policy.maxCalls == 0) {
            revert PolicyNotEnforceable(sessionId);
        }
        if (!_isLeave(policy.installStructHash(bytes32(leave)), leave)) return 0;
        state = _setInstalled(sessionId);
        emit CallSessionInstalled(sessionId, policy.key, bytes32(leave), policy);
    }

    /// @dev Counts the call, then makes it.
    function _callBySession(
        CallPolicy calldata policy,
        CallRule calldata rule,
        bytes32[] calldata proof,
        uint256 value,
        bytes calldata data
    ) internal {
        bytes32 sessionId = policy.id();
        uint256 state = _requireLive(sessionId);
        if (block.timestamp < policy.startsAt || block.timestamp >= policy.endsAt) {
            revert OutsideSession(block.timestamp, policy.startsAt, policy.endsAt);
        }
        if (state.calls() >= policy.maxCalls) revert NoCallsLeft(policy.maxCalls);
        if (
            !MerkleProof.verifyCalldata(proof, policy.rules, rule.leaf()) || !rule.allows(value, data)
                || !rule.keepsTokens() || rule.target == address(this) || rule.target == _entryPoint()
                || !_isCallAllowed(rule.target, rule.selector)
        ) revert CallNotAllowed(rule.target, rule.selector);
        _setState(sessionId, state.afterCall());
        emit SessionCalled(sessionId, rule.target, rule.selector, value);
        // What the call answered is nobody's business here; that it failed has reverted.
        // slither-disable-next-line unused-return
        Address.functionCallWithValue(rule.target, data, value);
    }

    /// @dev The EntryPoint, which no session may call.
    function _entryPoint() internal view virtual returns (address);

    /// @dev Whether sessions may make this kind of call at all.
    function _isCallAllowed(address target, bytes4 selector) internal view virtual returns (bool);
}
