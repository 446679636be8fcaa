// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {CallPolicies, CallPolicy, CallRule} from "../../src/account/CallPolicy.sol";
import {Passkeys} from "../../src/account/Passkeys.sol";

/// @dev The account's own judgement of calls by sessions, for the test that Python agrees with it.
contract CallDecisions {
    using CallPolicies for CallPolicy;
    using CallPolicies for CallRule;

    struct Case {
        CallPolicy policy;
        bytes32 consent;
        CallRule rule;
        bytes32[] proof;
        uint256 value;
        bytes data;
    }

    struct Answer {
        bytes32 sessionId;
        bytes32 installStructHash;
        bytes32 leaf;
        bool inRules;
        bool allows;
        bool keepsTokens;
    }

    function decide(Case[] calldata cases) external pure returns (Answer[] memory answers) {
        answers = new Answer[](cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            Case calldata one = cases[i];
            bytes32 leaf = one.rule.leaf();
            answers[i] = Answer({
                sessionId: one.policy.id(),
                installStructHash: one.policy.installStructHash(one.consent),
                leaf: leaf,
                inRules: MerkleProof.verifyCalldata(one.proof, one.policy.rules, leaf),
                allows: one.rule.allows(one.value, one.data),
                keepsTokens: one.rule.keepsTokens()
            });
        }
    }
}

/// @dev Whose signatures the accounts' own judge of P-256 says they are.
contract PhoneDecisions {
    Passkeys private immutable PASSKEYS;

    struct Case {
        bytes32 digest;
        bytes signature;
    }

    constructor(Passkeys passkeys) {
        PASSKEYS = passkeys;
    }

    function decide(Case[] calldata cases) external view returns (address[] memory signers) {
        signers = new address[](cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            signers[i] = PASSKEYS.signerOf(cases[i].digest, cases[i].signature);
        }
    }
}
