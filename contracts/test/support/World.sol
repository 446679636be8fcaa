// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {OpenVPPAccountFactory} from "../../src/account/OpenVPPAccountFactory.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {DevStablecoin} from "../../src/dev/DevStablecoin.sol";
import {BillLane} from "../../src/lane/BillLane.sol";
import {OpenVPPPaymaster} from "../../src/paymaster/OpenVPPPaymaster.sol";
import {PayoutClaims} from "../../src/PayoutClaims.sol";
import {Payouts} from "../../src/Payouts.sol";
import {OVPP} from "../../src/token/OVPP.sol";
import {Checks} from "./Checks.sol";
import {Policies} from "./Policies.sol";

/// @dev Everything deployed, one funded customer, and hands to sign for everybody.
abstract contract World is Checks {
    uint256 internal constant OWNER = 0xA11CE;
    uint256 internal constant KEY = 0xB0B;
    uint256 internal constant SPONSOR = 0x5B0;
    uint256 internal constant STRANGER = 0xE7E;
    uint64 internal constant UTILITY = 7;
    bytes32 internal constant SALT = keccak256("salt");
    bytes32 internal constant CONSENT = keccak256("frozen terms");
    bytes16 internal constant REF = bytes16(keccak256("ref"));
    address internal constant PAYEE = address(0xBEEF);
    address payable internal constant BENEFICIARY = payable(address(0xFEE5));
    uint256 internal constant START = 1_767_225_600;
    uint256 internal constant MONTH = 30 days;

    IEntryPoint internal entryPoint;
    OpenVPPAccount internal implementation;
    OpenVPPAccount internal selfCustody;
    OpenVPPAccountFactory internal factory;
    OpenVPPPaymaster internal paymaster;
    OVPP internal ovpp;
    DevStablecoin internal usd;
    Payouts internal payouts;
    PayoutClaims internal claims;
    BillLane internal lane;
    OpenVPPAccount internal account;
    AccountControl internal control;

    function setUp() public virtual {
        vm.warp(START + 100);
        string memory path = "node_modules/@account-abstraction/contracts/artifacts/EntryPoint.json";
        entryPoint = IEntryPoint(_create(vm.parseJsonBytes(vm.readFile(path), ".bytecode")));
        selfCustody = new OpenVPPAccount(address(entryPoint), OpenVPPAccount(payable(0)));
        implementation = new OpenVPPAccount(address(entryPoint), selfCustody);
        factory = new OpenVPPAccountFactory(implementation);
        paymaster = new OpenVPPPaymaster(entryPoint, address(this));
        ovpp = new OVPP(address(this));
        usd = new DevStablecoin(address(this));
        payouts = new Payouts();
        claims = new PayoutClaims();
        lane = new BillLane();
        vm.deal(address(this), 1_000 ether);
        paymaster.deposit{value: 100 ether}();
        paymaster.addStake{value: 1 ether}(1 days);
        paymaster.setSponsor(vm.addr(SPONSOR), true);
        paymaster.setBudget(UTILITY, 0, 50 ether);
        account = OpenVPPAccount(payable(factory.accountAddress(vm.addr(OWNER), SALT)));
        control = AccountControl(address(account));
        usd.mint(address(account), 10_000e6);
        ovpp.transfer(address(account), 1_000e18);
    }

    receive() external payable {}

    /// @dev 100 a payment, 150 a month, 300 in all; fees of 1 and of 10 $OVPP; for a year from START.
    function policyOf() internal view returns (SessionPolicy memory) {
        return SessionPolicy({
            key: vm.addr(KEY),
            payee: PAYEE,
            token: address(usd),
            feeToken: address(ovpp),
            maxPerPayment: 100e6,
            maxPerPeriod: 150e6,
            maxTotal: 300e6,
            maxFee: 1e6,
            maxFeeInFeeToken: 10e18,
            startsAt: uint40(START),
            endsAt: uint40(START + 365 days),
            periodSeconds: uint32(MONTH),
            salt: 1
        });
    }

    function packed() internal view returns (bytes32[5] memory) {
        return Policies.pack(policyOf());
    }

    function deploy() internal {
        vm.prank(vm.addr(OWNER));
        factory.createAccount(vm.addr(OWNER), SALT);
    }

    /// @dev Deploys the account with the session of `packed()`.
    function open() internal {
        factory.createAccountWithSession(vm.addr(OWNER), SALT, packed(), installSignature(packed()));
    }

    function sign(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The owner's leave; works before the account is deployed.
    function installSignature(bytes32[5] memory words) internal view returns (bytes memory) {
        return leaveBy(OWNER, words, address(account));
    }

    /// @dev A leave for a session of `holder`, whoever signs it.
    function leaveBy(uint256 secret, bytes32[5] memory words, address holder) internal view returns (bytes memory) {
        return abi.encodePacked(CONSENT, sign(secret, Policies.installDigest(words, CONSENT, holder)));
    }

    function payment(uint256 amount, uint256 fee, bool inFeeToken) internal pure returns (BillSessions.Payment memory) {
        return BillSessions.Payment({ref: REF, amount: amount, fee: fee, inFeeToken: inFeeToken});
    }

    function payCall(bytes32[5] memory words, uint256 amount, uint256 fee, bool inFeeToken)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeCall(OpenVPPAccount.payBill, (words, REF, amount, fee, inFeeToken));
    }

    function operation(bytes memory callData) internal view returns (PackedUserOperation memory op) {
        op.sender = address(account);
        op.nonce = entryPoint.getNonce(address(account), 0);
        if (address(account).code.length == 0) {
            op.initCode = abi.encodePacked(
                address(factory), abi.encodeCall(OpenVPPAccountFactory.createAccount, (vm.addr(OWNER), SALT))
            );
        }
        op.callData = callData;
        op.accountGasLimits = bytes32((uint256(400_000) << 128) | 300_000);
        op.preVerificationGas = 60_000;
        op.gasFees = bytes32((uint256(1 gwei) << 128) | 2 gwei);
    }

    function sponsorFields(uint8 mode, uint128 quotedFee) internal view returns (bytes memory) {
        return sponsorFields(mode, quotedFee, 0);
    }

    function sponsorFields(uint8 mode, uint128 quotedFee, uint64 programId) internal view returns (bytes memory) {
        return abi.encodePacked(
            address(paymaster),
            uint128(100_000),
            uint128(30_000),
            mode,
            UTILITY,
            programId,
            uint48(vm.getBlockTimestamp() - 60),
            uint48(vm.getBlockTimestamp() + 300),
            quotedFee
        );
    }

    function sponsor(PackedUserOperation memory op, bytes memory fields, uint256 secret) internal view {
        op.paymasterAndData = abi.encodePacked(fields, new bytes(65));
        op.paymasterAndData = abi.encodePacked(fields, sign(secret, paymaster.sponsorDigest(op)));
    }

    function sponsored(bytes memory callData, uint8 mode, uint128 quotedFee)
        internal
        view
        returns (PackedUserOperation memory op)
    {
        op = operation(callData);
        sponsor(op, sponsorFields(mode, quotedFee), SPONSOR);
    }

    function signByKey(PackedUserOperation memory op, bytes memory install) internal view {
        op.signature = abi.encodePacked(uint8(1), sign(KEY, entryPoint.getUserOpHash(op)), install);
    }

    function signByOwner(PackedUserOperation memory op) internal view {
        op.signature = abi.encodePacked(uint8(0), sign(OWNER, entryPoint.getUserOpHash(op)));
    }

    function handle(PackedUserOperation memory op) internal {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.prank(BENEFICIARY, BENEFICIARY);
        entryPoint.handleOps(ops, BENEFICIARY);
    }

    function asOwner() internal {
        vm.prank(vm.addr(OWNER));
    }

    /// @dev Announces a change as the custodian and lets 48 hours pass; the next call is the owner's.
    function announce(bytes memory call) internal {
        vm.prank(vm.addr(OWNER));
        control.scheduleChange(call);
        vm.warp(control.changeReadyAt(keccak256(call)));
        vm.prank(vm.addr(OWNER));
    }

    function upgrade(address next) internal {
        announce(abi.encodeCall(AccountControl.upgradeToAndCall, (next, "")));
        control.upgradeToAndCall(next, "");
    }

    function give(address newOwner) internal {
        announce(abi.encodeCall(AccountControl.changeOwner, (newOwner)));
        control.changeOwner(newOwner);
    }

    /// @dev The custodian lets the customer go; the guardian goes too.
    function leave(address newOwner) internal {
        vm.prank(vm.addr(OWNER));
        control.announceExit(newOwner, false);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
    }

    function left(uint64 utilityId, uint64 programId) internal view returns (uint256 leftWei) {
        (leftWei,,,,) = paymaster.budgetOf(utilityId, programId);
    }

    function spent() internal view returns (uint256 total) {
        (, total,,,) = account.session(Policies.id(packed()));
    }

    function flagsOf(bytes32[5] memory words) internal view returns (uint256 flags) {
        (flags,,,,) = account.session(Policies.id(words));
    }

    function _create(bytes memory code) private returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
    }
}
