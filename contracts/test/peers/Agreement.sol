// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BillSessions} from "../../src/account/BillSessions.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {SessionPolicies} from "../../src/account/SessionPolicy.sol";
import {AccountProxies} from "../../src/account/AccountProxies.sol";
import {Passkeys} from "../../src/account/Passkeys.sol";
import {SessionStates} from "../../src/account/SessionStates.sol";

/// @dev The account's own rules with time and state given, for the test that Python agrees with them. The token is one
/// that always says yes.
contract Agreement is BillSessions {
    using SessionStates for uint256;

    struct Case {
        bytes32[5] policy;
        bytes32 consent;
        uint256 state;
        bytes16 ref;
        uint256 amount;
        uint256 fee;
        bool inFeeToken;
        uint32 sequence;
        uint40 deadline;
    }

    struct Answer {
        bytes32 sessionId;
        bytes32 installStructHash;
        bytes32 paymentDigest;
        bool enforceable;
        bytes4 refusal;
        uint256 newState;
    }

    constructor() Sessions(false) {}

    /// @dev What the account would do with each case at the block's time.
    function decide(Case[] calldata cases) external returns (Answer[] memory answers, uint256 timestamp) {
        timestamp = block.timestamp;
        answers = new Answer[](cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            Case calldata one = cases[i];
            bytes32 sessionId = SessionPolicies.id(one.policy);
            answers[i].sessionId = sessionId;
            answers[i].installStructHash = SessionPolicies.installStructHash(one.policy, one.consent);
            answers[i].paymentDigest = this.billPaymentDigest(
                sessionId, Payment(one.ref, one.amount, one.fee, one.inFeeToken), one.sequence, one.deadline
            );
            answers[i].enforceable = SessionPolicies.isEnforceable(one.policy);
            try this.pay(one) returns (uint256 newState) {
                answers[i].newState = newState;
            } catch (bytes memory why) {
                answers[i].refusal = bytes4(why);
            }
        }
    }

    function pay(Case calldata one) external returns (uint256) {
        bytes32 sessionId = SessionPolicies.id(one.policy);
        _setState(sessionId, one.state);
        _pay(one.policy, sessionId, _requireLive(sessionId), one.ref, one.amount, one.fee, one.inFeeToken);
        return _requireLive(sessionId);
    }

    function proxyCode(address implementation, address owner) external pure returns (bytes memory) {
        return AccountProxies.creationCode(implementation, owner);
    }

    function _passkeys() internal pure override returns (Passkeys) {
        return Passkeys(address(0));
    }

    function _sessionOwner() internal pure override returns (address) {
        return address(0);
    }

    function _typedDataHash(bytes32 structHash) internal pure override returns (bytes32) {
        return structHash;
    }
}

/// @dev A token that says yes to everything.
contract YesToken {
    fallback() external {
        assembly {
            mstore(0, 1)
            return(0, 32)
        }
    }
}
