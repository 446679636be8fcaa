// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Sessions} from "./Sessions.sol";
import {SessionPolicies} from "./SessionPolicy.sol";
import {SessionSignatures} from "./SessionSignatures.sol";
import {SessionStates} from "./SessionStates.sol";
import {Signers} from "./Signers.sol";

/// @title Sessions that pay bills
/// @notice Installs and counts them. The policy comes with each call and is known by its hash; one storage word per
/// session says whether it is live and what it has spent.
/// @dev Limits count what leaves the account in the bill's token: the amount, and the fee when it is in that token.
abstract contract BillSessions is Sessions {
    using SafeERC20 for IERC20;
    using SessionStates for uint256;

    /// @notice One payment of a bill.
    /// @param ref Random name of the payment.
    /// @param amount Due to the payee, in base units of the policy's token.
    /// @param fee Network fee, in base units of the token that it is paid in.
    /// @param inFeeToken Whether the fee is paid in the policy's fee token instead of the bill's.
    struct Payment {
        bytes16 ref;
        uint256 amount;
        uint256 fee;
        bool inFeeToken;
    }

    /// @dev EIP-712 type of a payment signed for the bill lane.
    bytes32 internal constant PAYMENT_TYPEHASH = keccak256(
        "BillPayment(bytes32 sessionId,bytes16 ref,uint256 amount,uint256 fee,bool inFeeToken,uint32 sequence,uint40 deadline)"
    );

    /// @notice A bill was paid. A hint only: the proof is the token's own `Transfer` of `amount + fee`.
    /// @param ref Random name of the payment.
    /// @param payer The account.
    /// @param token Token of the payment.
    /// @param amount Paid for the bill, in base units of `token`.
    /// @param fee Network fee in the same transfer, in base units of `token`.
    event BillPaid(bytes16 indexed ref, address indexed payer, address indexed token, uint256 amount, uint256 fee);

    /// @notice The network fee of a payment was paid in another token.
    /// @param ref Random name of the payment.
    /// @param payer The account.
    /// @param feeToken Token of the fee.
    /// @param fee Network fee, in base units of `feeToken`.
    event FeePaid(bytes16 indexed ref, address indexed payer, address indexed feeToken, uint256 fee);

    /// @notice A session was installed.
    /// @param sessionId Hash of its packed policy.
    /// @param key Session key.
    /// @param consent Digest of the frozen terms that the customer approved, as the owner signed it.
    /// @param policy Packed policy.
    event SessionInstalled(bytes32 indexed sessionId, address indexed key, bytes32 indexed consent, bytes32[5] policy);

    /// @notice A payment must be of something.
    error NothingToPay();

    /// @notice More would leave with one payment than the policy allows.
    /// @param units Would leave, in base units of the bill's token.
    /// @param limit Most that may.
    error AbovePaymentLimit(uint256 units, uint256 limit);

    /// @notice More would leave in this period than the policy allows.
    /// @param units Would have left, in base units of the bill's token.
    /// @param limit Most that may.
    error AbovePeriodLimit(uint256 units, uint256 limit);

    /// @notice More would leave over the session's life than the policy allows.
    /// @param units Would have left, in base units of the bill's token.
    /// @param limit Most that may.
    error AboveTotalLimit(uint256 units, uint256 limit);

    /// @notice The fee is higher than the policy allows.
    /// @param fee Asked for, in base units of the fee's token.
    /// @param limit Most that may be.
    error AboveFeeLimit(uint256 fee, uint256 limit);

    /// @notice The policy names no token for fees besides the bill's.
    error NoFeeToken();

    /// @notice The payment's deadline has passed.
    /// @param timestamp Now, Unix time.
    /// @param deadline First second at which the payment is no longer valid.
    error DeadlinePassed(uint256 timestamp, uint256 deadline);

    /// @notice Installs a session with the owner's leave, whoever brings it. Does nothing if it is live already.
    /// @param policy Packed session policy.
    /// @param leave The consent (32 bytes) and the owner's signature of `sessionInstallDigest(policy, consent)`.
    function installSession(bytes32[5] calldata policy, bytes calldata leave) external {
        if (_admitSession(policy, SessionPolicies.id(policy), leave) == 0) revert NotSignedBy(_sessionOwner());
    }

    /// @notice Pays a bill with the session key's signature, whoever brings it: the account's side of the bill lane.
    /// @param policy Packed session policy.
    /// @param payment What to pay.
    /// @param deadline First second at which the payment is no longer valid, Unix time.
    /// @param signature Session key's signature of `billPaymentDigest` and, while the session is not installed, the
    /// owner's leave, as `SessionSignatures` puts them together.
    function payBillSigned(
        bytes32[5] calldata policy,
        Payment calldata payment,
        uint40 deadline,
        bytes calldata signature
    ) external {
        if (block.timestamp >= deadline) revert DeadlinePassed(block.timestamp, deadline);
        bytes32 sessionId = SessionPolicies.id(policy);
        address key = address(bytes20(policy[0]));
        (bytes calldata ofKey, bytes calldata leave) = SessionSignatures.split(signature);
        uint256 state = _admitSession(policy, sessionId, leave);
        if (state == 0) revert NotSignedBy(_sessionOwner());
        bytes32 digest = _paymentDigest(sessionId, payment, state.laneSequence(), deadline);
        if (!Signers.isSigner(key, digest, ofKey, _passkeys())) revert NotSignedBy(key);
        _pay(policy, sessionId, state.nextInLane(), payment.ref, payment.amount, payment.fee, payment.inFeeToken);
    }

    /// @notice Where a session stands.
    /// @param sessionId Hash of its packed policy.
    /// @return flags 1 installed, 2 revoked, 4 frozen, 8 held by the guardian until `heldUntil`.
    /// @return spentTotal Base units of the bill's token spent in all, fees included.
    /// @return spentInPeriod Base units of the bill's token spent in `period`, fees included.
    /// @return period Period of the last payment, counted from the session's start.
    /// @return laneSequence Sequence that the next bill-lane payment must carry.
    function session(bytes32 sessionId)
        external
        view
        returns (uint256 flags, uint256 spentTotal, uint256 spentInPeriod, uint256 period, uint256 laneSequence)
    {
        uint256 state = _currentState(sessionId);
        return (state.flags(), state.spentTotal(), state.spentInPeriod(), state.period(), state.laneSequence());
    }

    /// @notice Digest that the owner signs to install a session.
    /// @param policy Packed session policy.
    /// @param consent Digest of the frozen terms that the customer approved.
    function sessionInstallDigest(bytes32[5] calldata policy, bytes32 consent) external view returns (bytes32) {
        return _typedDataHash(SessionPolicies.installStructHash(policy, consent));
    }

    /// @notice Digest that the session key signs for a bill-lane payment.
    /// @param sessionId Hash of the packed policy.
    /// @param payment What to pay.
    /// @param sequence The session's lane sequence.
    /// @param deadline First second at which the payment is no longer valid, Unix time.
    function billPaymentDigest(bytes32 sessionId, Payment calldata payment, uint32 sequence, uint40 deadline)
        external
        view
        returns (bytes32)
    {
        return _paymentDigest(sessionId, payment, sequence, deadline);
    }

    /// @dev Makes sure that a session is live, installing it if it is new and the owner's leave came with the call.
    /// @return state The session's word; zero if the owner's signature was needed and is another's.
    function _admitSession(bytes32[5] calldata policy, bytes32 sessionId, bytes calldata leave)
        internal
        returns (uint256 state)
    {
        state = _liveOrNew(sessionId, leave);
        if (state != 0) return state;
        if (!SessionPolicies.isEnforceable(policy)) revert PolicyNotEnforceable(sessionId);
        if (!_isLeave(SessionPolicies.installStructHash(policy, bytes32(leave)), leave)) return 0;
        state = _setInstalled(sessionId);
        emit SessionInstalled(sessionId, address(bytes20(policy[0])), bytes32(leave), policy);
    }

    /// @dev Writes what is spent, then moves tokens, then tells. `state` is that of a live session.
    function _pay(
        bytes32[5] calldata policy,
        bytes32 sessionId,
        uint256 state,
        bytes16 ref,
        uint256 amount,
        uint256 fee,
        bool inFeeToken
    ) internal {
        if (amount == 0) revert NothingToPay();
        if (inFeeToken) {
            _spendAndTransfer(policy, sessionId, state, amount);
            emit BillPaid(ref, address(this), address(bytes20(policy[2])), amount, 0);
            _payFee(policy, ref, fee);
        } else {
            uint256 limit = uint256(policy[4]) >> 160;
            if (fee > limit) revert AboveFeeLimit(fee, limit);
            _spendAndTransfer(policy, sessionId, state, amount + fee);
            emit BillPaid(ref, address(this), address(bytes20(policy[2])), amount, fee);
        }
    }

    function _spendAndTransfer(bytes32[5] calldata policy, bytes32 sessionId, uint256 state, uint256 leaving) private {
        _setState(sessionId, _spend(policy, state, leaving));
        IERC20(address(bytes20(policy[2]))).safeTransfer(address(bytes20(policy[1])), leaving);
    }

    function _payFee(bytes32[5] calldata policy, bytes16 ref, uint256 fee) private {
        address feeToken = address(bytes20(policy[3]));
        uint256 limit = uint96(uint256(policy[3]));
        if (feeToken == address(0)) revert NoFeeToken();
        if (fee > limit) revert AboveFeeLimit(fee, limit);
        if (fee == 0) return;
        IERC20(feeToken).safeTransfer(address(bytes20(policy[1])), fee);
        emit FeePaid(ref, address(this), feeToken, fee);
    }

    /// @dev The session's word after `leaving` base units more, or a revert that says which limit stands against it.
    function _spend(bytes32[5] calldata policy, uint256 state, uint256 leaving) private view returns (uint256) {
        uint256 times = uint256(policy[4]);
        uint256 startsAt = uint40(times >> 120);
        uint256 endsAt = uint40(times >> 80);
        if (block.timestamp < startsAt || block.timestamp >= endsAt) {
            revert OutsideSession(block.timestamp, startsAt, endsAt);
        }
        uint256 limit = uint96(uint256(policy[0]));
        if (leaving > limit) revert AbovePaymentLimit(leaving, limit);

        unchecked {
            // `leaving` and both counters are below 2**96.
            uint256 period = 0;
            uint256 periodSeconds = uint32(times >> 48);
            if (periodSeconds != 0) period = (block.timestamp - startsAt) / periodSeconds;
            uint256 inPeriod = (period == state.period() ? state.spentInPeriod() : 0) + leaving;
            limit = uint96(uint256(policy[1]));
            if (inPeriod > limit) revert AbovePeriodLimit(inPeriod, limit);

            uint256 total = state.spentTotal() + leaving;
            limit = uint96(uint256(policy[2]));
            if (total > limit) revert AboveTotalLimit(total, limit);
            return state.spend(total, inPeriod, period);
        }
    }

    function _paymentDigest(bytes32 sessionId, Payment calldata payment, uint256 sequence, uint256 deadline)
        private
        view
        returns (bytes32)
    {
        bytes32 structHash;
        bytes32 typehash = PAYMENT_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 32), sessionId)
            calldatacopy(add(free, 64), payment, 128)
            mstore(add(free, 192), sequence)
            mstore(add(free, 224), deadline)
            structHash := keccak256(free, 256)
        }
        return _typedDataHash(structHash);
    }
}
