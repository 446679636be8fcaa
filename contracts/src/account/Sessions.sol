// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Passkeys} from "./Passkeys.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {SessionStates} from "./SessionStates.sol";
import {Signers} from "./Signers.sol";

/// @title Sessions of every form
/// @notice Keeps one storage word per session and says whether it is live; stops and ends sessions. What a session may
/// do is for the contracts that know its policy.
abstract contract Sessions {
    using SessionStates for uint256;

    /// @custom:storage-location erc7201:openvpp.storage.BillSessions
    /// @param states Session id to the session's word, as `SessionStates` lays it out, while a custodian is the owner.
    /// @param statesInSelfCustody The same in self-custody.
    /// @param heldUntil Session id to the first second at which a hold is over, Unix time.
    struct SessionStorage {
        mapping(bytes32 sessionId => uint256 state) states;
        mapping(bytes32 sessionId => uint256 state) statesInSelfCustody;
        mapping(bytes32 sessionId => uint256 timestamp) heldUntil;
    }

    /// @notice How long a guardian's hold lasts, in seconds.
    uint256 public constant HOLD_TIME = 7 days;

    /// @dev keccak256(abi.encode(uint256(keccak256("openvpp.storage.BillSessions")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant SESSION_STORAGE = 0xfb4fe4f1fab75a65e5c293df623c4046b7403e117481b120a4eafa7159854100;

    /// @dev Slot of the mapping of states that this implementation keeps.
    uint256 private immutable STATES_SLOT;

    /// @notice A session ended for ever.
    /// @param sessionId Hash of its packed policy.
    event SessionRevoked(bytes32 indexed sessionId);

    /// @notice A session was stopped or may go on.
    /// @param sessionId Hash of its packed policy.
    /// @param frozen Whether it is stopped now.
    event SessionFrozen(bytes32 indexed sessionId, bool frozen);

    /// @notice The guardian stopped a session for a while.
    /// @param sessionId Hash of its packed policy.
    /// @param heldUntil First second at which it may go on, Unix time.
    event SessionHeld(bytes32 indexed sessionId, uint256 heldUntil);

    /// @notice Session is not installed, or revoked, or stopped.
    /// @param sessionId Hash of its packed policy.
    /// @param flags 1 installed, 2 revoked, 4 frozen, 8 held.
    error SessionNotLive(bytes32 sessionId, uint256 flags);

    /// @notice Policy can't be enforced: a party is missing, times run backward, or periods are too short or too many.
    /// @param sessionId Hash of its packed policy.
    error PolicyNotEnforceable(bytes32 sessionId);

    /// @notice The signature is not the one that is needed.
    /// @param needed Whose signature is needed.
    error NotSignedBy(address needed);

    /// @notice Now is outside of the session's life.
    /// @param timestamp Now, Unix time.
    /// @param startsAt First valid second.
    /// @param endsAt First second no longer valid.
    error OutsideSession(uint256 timestamp, uint256 startsAt, uint256 endsAt);

    /// @param isSelfCustody Whether this is the self-custody implementation, whose sessions stand apart.
    constructor(bool isSelfCustody) {
        STATES_SLOT = uint256(SESSION_STORAGE) + (isSelfCustody ? 1 : 0);
    }

    /// @notice First second at which a guardian's hold of a session is over, Unix time; zero if it never held it.
    /// @param sessionId Hash of its packed policy.
    function heldUntil(bytes32 sessionId) external view returns (uint256) {
        return _storage().heldUntil[sessionId];
    }

    /// @dev The word of a live session, in which a hold that is over is no longer; zero for a new one that comes with a
    /// leave; a revert for others.
    function _liveOrNew(bytes32 sessionId, bytes calldata leave) internal view returns (uint256 state) {
        state = _states()[sessionId];
        if (state.isLive()) return state;
        state = _thawed(sessionId, state);
        if (state.isLive()) return state;
        if (state != 0 || leave.length < SessionSignatures.CONSENT_LENGTH) {
            revert SessionNotLive(sessionId, state.flags());
        }
    }

    /// @dev Whether the owner signed a leave for the installation with this struct hash.
    function _isLeave(bytes32 structHash, bytes calldata leave) internal view returns (bool) {
        bytes calldata ownerSignature = leave[SessionSignatures.CONSENT_LENGTH:];
        return Signers.isSigner(_sessionOwner(), _typedDataHash(structHash), ownerSignature, _passkeys());
    }

    function _revokeSession(bytes32 sessionId) internal {
        _states()[sessionId] |= SessionStates.REVOKED;
        emit SessionRevoked(sessionId);
    }

    function _setFrozen(bytes32 sessionId, bool frozen) internal {
        uint256 state = _states()[sessionId];
        _states()[sessionId] =
            frozen ? state | SessionStates.FROZEN : state & ~(SessionStates.FROZEN | SessionStates.HELD);
        emit SessionFrozen(sessionId, frozen);
    }

    /// @dev A hold is a flag in the session's word; until when is written beside it, for whoever finds the flag.
    function _hold(bytes32 sessionId) internal {
        uint256 until = block.timestamp + HOLD_TIME;
        _storage().heldUntil[sessionId] = until;
        _states()[sessionId] |= SessionStates.HELD;
        emit SessionHeld(sessionId, until);
    }

    function _setInstalled(bytes32 sessionId) internal returns (uint256 state) {
        state = SessionStates.INSTALLED;
        _states()[sessionId] = state;
    }

    function _setState(bytes32 sessionId, uint256 state) internal {
        _states()[sessionId] = state;
    }

    /// @dev The word of a live session; a hold that is over is no longer in it.
    function _requireLive(bytes32 sessionId) internal view returns (uint256 state) {
        state = _states()[sessionId];
        if (state.isLive()) return state;
        state = _thawed(sessionId, state);
        if (!state.isLive()) revert SessionNotLive(sessionId, state.flags());
    }

    /// @dev Who knows the signatures of P-256 keys.
    function _passkeys() internal view virtual returns (Passkeys);

    /// @dev Who installs sessions.
    function _sessionOwner() internal view virtual returns (address);

    /// @dev EIP-712 digest in the account's domain.
    function _typedDataHash(bytes32 structHash) internal view virtual returns (bytes32);

    function _currentState(bytes32 sessionId) internal view returns (uint256) {
        return _thawed(sessionId, _states()[sessionId]);
    }

    function _thawed(bytes32 sessionId, uint256 state) private view returns (uint256) {
        if (state & SessionStates.HELD == 0 || block.timestamp < _storage().heldUntil[sessionId]) return state;
        return state & ~SessionStates.HELD;
    }

    function _states() private view returns (mapping(bytes32 => uint256) storage states) {
        uint256 slot = STATES_SLOT;
        assembly ("memory-safe") {
            states.slot := slot
        }
    }

    function _storage() private pure returns (SessionStorage storage stored) {
        assembly ("memory-safe") {
            stored.slot := SESSION_STORAGE
        }
    }
}
