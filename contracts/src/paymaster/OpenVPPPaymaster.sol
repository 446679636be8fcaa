// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IBillPayer} from "../interfaces/IBillPayer.sol";
import {Signers} from "../account/Signers.sol";
import {Budgets} from "./Budgets.sol";
import {DepositOwner} from "./DepositOwner.sol";

/// @title The paymaster of OpenVPP
/// @notice Pays the gas of operations that a sponsor has signed for, out of a deposit, within each utility's budget.
/// It takes no tokens: the network fee is in the customer's own call, signed by the customer's key, and here it is
/// compared with the quote. So nobody is charged more than the quote that both have signed.
/// @dev Trusts its sponsors to have quoted and simulated what they sign; what a stolen sponsor key can burn is bounded
/// by the budgets. Reads its own storage during validation, hence needs a stake (ERC-7562). Validation may not read the
/// clock, so an operation falls on the UTC day on which its sponsorship ends, and may land at most an hour before that
/// day begins: n days in a row never cost more than n + 1 daily limits. Paymaster data: mode (1 byte), utility (8),
/// program (8), valid after (6), valid until (6), quoted fee (16), sponsor's r, s, v (65).
contract OpenVPPPaymaster is IPaymaster, Budgets, EIP712 {
    /// @notice Fee modes: in the session's fee token, in the bill's token, or none as the utility absorbs it.
    uint8 public constant FEE_IN_FEE_TOKEN = 1;
    uint8 public constant FEE_IN_BILL_TOKEN = 2;
    uint8 public constant FEE_ABSORBED = 3;

    /// @notice Gas that `postOp` and the accounting around it use, charged to the budget beside what is measured.
    uint256 public constant POST_OP_GAS = 9_000;

    uint256 private constant DATA_OFFSET = 52;
    uint256 private constant FEE_OFFSET = DATA_OFFSET + 29;
    uint256 private constant SIGNATURE_OFFSET = FEE_OFFSET + 16;
    uint256 private constant PAYMASTER_AND_DATA_LENGTH = SIGNATURE_OFFSET + 65;
    uint256 private constant PAY_BILL_LENGTH = 4 + 9 * 32;

    /// @dev EIP-712 type of what a sponsor signs: the whole operation, with the paymaster's fields up to the signature.
    bytes32 private constant SPONSORED_TYPEHASH = keccak256(
        "SponsoredOperation(address sender,uint256 nonce,bytes32 initCodeHash,bytes32 callDataHash,bytes32 accountGasLimits,uint256 preVerificationGas,bytes32 gasFees,bytes32 paymasterFieldsHash)"
    );

    /// @notice Whether a key may sponsor operations.
    mapping(address sponsor => bool) public isSponsor;

    /// @notice Whether no operation is sponsored at present.
    bool public paused;

    /// @notice A key may sponsor, or may no longer.
    /// @param sponsor The key.
    /// @param allowed Whether it may.
    event SponsorSet(address indexed sponsor, bool allowed);

    /// @notice A sponsored operation was charged to a utility's budget.
    /// @param userOpHash The operation.
    /// @param utilityId Whose budget.
    /// @param programId Whose budget within it too; zero for none.
    /// @param costWei Charged, in wei.
    event BudgetCharged(
        bytes32 indexed userOpHash, uint64 indexed utilityId, uint64 indexed programId, uint256 costWei
    );

    /// @notice Sponsoring was stopped or goes on.
    /// @param paused Whether it is stopped.
    event PausedSet(bool paused);

    /// @notice Sponsoring is stopped.
    error SponsoringPaused();

    /// @notice Paymaster data, or the call of a bill payment, has another length than it should.
    /// @param length Of `paymasterAndData`, or of the call, in bytes.
    error BadDataLength(uint256 length);

    /// @notice No such mode.
    /// @param mode What was given.
    error UnknownMode(uint8 mode);

    /// @notice The call's fee is another than the one quoted, or in another token.
    /// @param fee In the call, in base units of the fee's token.
    /// @param quotedFee In the quote.
    error FeeDiffersFromQuote(uint256 fee, uint256 quotedFee);

    /// @param entryPoint EntryPoint v0.8.
    /// @param owner Who funds, sets sponsors and budgets, pauses and withdraws.
    constructor(IEntryPoint entryPoint, address owner)
        DepositOwner(entryPoint, owner)
        EIP712("OpenVPP Paymaster", "1")
    {}

    /// @inheritdoc IPaymaster
    function validatePaymasterUserOp(PackedUserOperation calldata op, bytes32 userOpHash, uint256 maxCost)
        external
        onlyEntryPoint
        returns (bytes memory context, uint256 validationData)
    {
        if (paused) revert SponsoringPaused();
        bytes calldata fields = op.paymasterAndData;
        if (fields.length != PAYMASTER_AND_DATA_LENGTH) revert BadDataLength(fields.length);
        uint256 data = uint256(bytes32(fields[DATA_OFFSET:]));
        _checkFee(op.callData, uint8(data >> 248), uint128(bytes16(fields[FEE_OFFSET:])));

        uint48 validAfter = uint48(data >> 72);
        uint48 validUntil = uint48(data >> 24);
        uint256 day = _dayOf(validAfter, validUntil);
        _reserve(uint64(data >> 184), uint64(data >> 120), maxCost, day);
        bool genuine = _isSponsored(op, fields);
        context = abi.encode(userOpHash, maxCost, ((data >> 120) << 128) | day);
        validationData = (uint256(validAfter) << 208) | (uint256(validUntil) << 160) | (genuine ? 0 : 1);
    }

    /// @inheritdoc IPaymaster
    function postOp(PostOpMode, bytes calldata context, uint256 actualGasCost, uint256 actualUserOpFeePerGas)
        external
        onlyEntryPoint
    {
        (bytes32 userOpHash, uint256 reserved, uint256 charged) = abi.decode(context, (bytes32, uint256, uint256));
        uint256 cost = actualGasCost + POST_OP_GAS * actualUserOpFeePerGas;
        if (cost > reserved) cost = reserved;
        (uint64 utilityId, uint64 programId) = (uint64(charged >> 192), uint64(charged >> 128));
        _giveBack(utilityId, programId, reserved - cost, uint128(charged));
        emit BudgetCharged(userOpHash, utilityId, programId, cost);
    }

    /// @notice Digest that a sponsor signs for an operation; its signature field and the last 65 bytes of its paymaster
    /// data are not part of it.
    /// @param op The operation.
    function sponsorDigest(PackedUserOperation calldata op) external view returns (bytes32) {
        return _sponsorDigest(op, op.paymasterAndData);
    }

    /// @notice Lets a key sponsor, or not.
    /// @param sponsor The key.
    /// @param allowed Whether it may.
    function setSponsor(address sponsor, bool allowed) external onlyOwner {
        isSponsor[sponsor] = allowed;
        emit SponsorSet(sponsor, allowed);
    }

    /// @notice Stops sponsoring, or lets it go on.
    /// @param paused_ Whether to stop.
    function setPaused(bool paused_) external onlyOwner {
        paused = paused_;
        emit PausedSet(paused_);
    }

    /// @dev The UTC day on which a sponsorship ends; zero if it has no end, or begins more than an hour before that day.
    function _dayOf(uint256 validAfter, uint256 validUntil) private pure returns (uint256 day) {
        day = validUntil / 1 days;
        // The day's first second is what is looked for.
        // slither-disable-next-line divide-before-multiply
        if (validAfter + 1 hours < day * 1 days) day = 0;
    }

    /// @dev A bill payment's fee must be the quoted one, in the quoted kind of token; other calls carry no fee.
    function _checkFee(bytes calldata callData, uint8 mode, uint256 quotedFee) private pure {
        if (mode == 0 || mode > FEE_ABSORBED) revert UnknownMode(mode);
        uint256 fee = 0;
        bool inFeeToken = mode == FEE_IN_FEE_TOKEN;
        if (bytes4(callData) == IBillPayer.payBill.selector) {
            // A longer call would be read by the account just the same.
            if (callData.length != PAY_BILL_LENGTH) revert BadDataLength(callData.length);
            fee = uint256(bytes32(callData[228:]));
            inFeeToken = uint256(bytes32(callData[260:])) != 0;
        }
        if (
            fee != quotedFee || (mode == FEE_ABSORBED && fee != 0)
                || (fee != 0 && inFeeToken != (mode == FEE_IN_FEE_TOKEN))
        ) {
            revert FeeDiffersFromQuote(fee, quotedFee);
        }
    }

    function _isSponsored(PackedUserOperation calldata op, bytes calldata fields) private view returns (bool) {
        address signer = Signers.recover(_sponsorDigest(op, fields), fields[SIGNATURE_OFFSET:]);
        return signer != address(0) && isSponsor[signer];
    }

    function _sponsorDigest(PackedUserOperation calldata op, bytes calldata fields) private view returns (bytes32) {
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    SPONSORED_TYPEHASH,
                    op.sender,
                    op.nonce,
                    keccak256(op.initCode),
                    keccak256(op.callData),
                    op.accountGasLimits,
                    op.preVerificationGas,
                    op.gasFees,
                    keccak256(fields[:SIGNATURE_OFFSET])
                )
            )
        );
    }
}
