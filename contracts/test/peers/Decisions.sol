// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Budgets} from "../../src/paymaster/Budgets.sol";
import {DepositOwner} from "../../src/paymaster/DepositOwner.sol";
import {OpenVPPPaymaster} from "../../src/paymaster/OpenVPPPaymaster.sol";
import {PayoutClaims} from "../../src/PayoutClaims.sol";

/// @dev The budgets' own rules with time and state given, for the test that Python agrees with them.
contract BudgetDecisions is Budgets {
    struct Case {
        uint104 left;
        uint104 spentBefore;
        uint40 dayBefore;
        uint128 perOperation;
        uint128 perDay;
        uint104 cost;
        uint40 day;
        uint104 unused;
    }

    struct Answer {
        bytes4 refusal;
        uint256[3] reserved;
        uint256[3] settled;
    }

    constructor() DepositOwner(IEntryPoint(address(1)), address(this)) {}

    function decide(Case[] calldata cases) external returns (Answer[] memory answers) {
        answers = new Answer[](cases.length);
        for (uint64 i = 0; i < cases.length; ++i) {
            Case calldata one = cases[i];
            this.setBudget(i, 0, one.left + one.spentBefore);
            _reserve(i, 0, one.spentBefore, one.dayBefore);
            this.setLimits(i, 0, one.perOperation, one.perDay);
            try this.reserve(i, one.cost, one.day) {
                answers[i].reserved = _standing(i);
                _giveBack(i, 0, one.unused, one.day);
                answers[i].settled = _standing(i);
            } catch (bytes memory why) {
                answers[i].refusal = bytes4(why);
            }
        }
    }

    function reserve(uint64 utilityId, uint256 costWei, uint256 day) external {
        _reserve(utilityId, 0, costWei, day);
    }

    function _standing(uint64 utilityId) private view returns (uint256[3] memory standing) {
        (standing[0], standing[1], standing[2],,) = this.budgetOf(utilityId, 0);
    }
}

/// @dev The real paymaster, called by this in the EntryPoint's place, and the real EntryPoint's hash.
contract SponsorDecisions {
    IEntryPoint private immutable ENTRY_POINT;
    OpenVPPPaymaster public immutable PAYMASTER;

    struct Answer {
        bytes32 operationHash;
        bytes32 digest;
        bytes4 refusal;
        uint256 validationData;
    }

    constructor(IEntryPoint entryPoint, address sponsor) {
        ENTRY_POINT = entryPoint;
        PAYMASTER = new OpenVPPPaymaster(IEntryPoint(address(this)), address(this));
        PAYMASTER.setSponsor(sponsor, true);
    }

    function decide(PackedUserOperation[] calldata operations) external returns (Answer[] memory answers) {
        answers = new Answer[](operations.length);
        for (uint256 i = 0; i < operations.length; ++i) {
            answers[i].operationHash = ENTRY_POINT.getUserOpHash(operations[i]);
            answers[i].digest = PAYMASTER.sponsorDigest(operations[i]);
            try PAYMASTER.validatePaymasterUserOp(operations[i], 0, 0) returns (bytes memory, uint256 data) {
                answers[i].validationData = data;
            } catch (bytes memory why) {
                answers[i].refusal = bytes4(why);
            }
        }
    }
}

/// @dev The claims' own hashes, and OpenZeppelin's verdict on a proof.
contract ClaimDecisions is PayoutClaims {
    struct Case {
        address funder;
        bytes16 ref;
        uint256 index;
        address account;
        uint256 amount;
        bytes32 root;
        bytes32[] proof;
    }

    struct Answer {
        bytes32 roundId;
        bytes32 leaf;
        bool inRound;
    }

    function decide(Case[] calldata cases) external view returns (Answer[] memory answers) {
        answers = new Answer[](cases.length);
        for (uint256 i = 0; i < cases.length; ++i) {
            Case calldata one = cases[i];
            bytes32 roundId = roundIdOf(one.funder, one.ref);
            bytes32 leaf = leafOf(roundId, one.index, one.account, one.amount);
            answers[i] = Answer(roundId, leaf, MerkleProof.verifyCalldata(one.proof, one.root, leaf));
        }
    }
}
