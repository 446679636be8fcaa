// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {OpenVPPAccountFactory} from "../../src/account/OpenVPPAccountFactory.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

/// @dev Using a signature somewhere else, or again, or changed.
contract SignatureAttacks is World {
    bytes32 private constant OTHER_SALT = keccak256("other");
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    uint40 private deadline;

    function setUp() public override {
        super.setUp();
        open();
        deadline = uint40(vm.getBlockTimestamp() + 60);
    }

    function _laneSignature() private view returns (bytes memory) {
        return sign(KEY, Policies.paymentDigest(packed(), REF, 10e6, 0, false, 0, deadline, address(account)));
    }

    function _refusedInLane(OpenVPPAccount victim, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        victim.payBillSigned(packed(), payment(10e6, 0, false), deadline, signature);
    }

    function _refusedByEntryPoint(PackedUserOperation memory op, string memory reason) private {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, reason));
        vm.prank(BENEFICIARY, BENEFICIARY);
        entryPoint.handleOps(ops, BENEFICIARY);
    }

    function _second() private returns (OpenVPPAccount other) {
        vm.prank(vm.addr(OWNER));
        other = OpenVPPAccount(payable(factory.createAccount(vm.addr(OWNER), OTHER_SALT)));
        usd.mint(address(other), 100e6);
    }

    function test_replayAcrossChains_lane() public {
        bytes memory signature = _laneSignature();
        vm.chainId(4242);
        _refusedInLane(account, signature);
    }

    function test_replayAcrossChains_install() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes memory install = installSignature(words);
        vm.chainId(4242);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        account.installSession(words, install);
    }

    function test_replayAcrossAccounts_install() public {
        OpenVPPAccount other = _second();
        bytes memory install = installSignature(packed());
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        other.installSession(packed(), install);
    }

    function test_replayAcrossAccounts_lane() public {
        OpenVPPAccount other = _second();
        other.installSession(packed(), leaveBy(OWNER, packed(), address(other)));
        _refusedInLane(other, _laneSignature());
        equal(usd.balanceOf(address(other)), 100e6, "nothing moved");
    }

    function test_replayAcrossPaths_operationInLane() public {
        PackedUserOperation memory op = sponsored(payCall(packed(), 10e6, 0, false), 3, 0);
        bytes memory ofOperation = sign(KEY, entryPoint.getUserOpHash(op));
        _refusedInLane(account, ofOperation);
    }

    function test_replayAcrossPaths_laneInOperation() public {
        PackedUserOperation memory op = sponsored(payCall(packed(), 10e6, 0, false), 3, 0);
        op.signature = abi.encodePacked(uint8(1), _laneSignature());
        _refusedByEntryPoint(op, "AA24 signature error");
    }

    function test_replayOfAnOperation() public {
        PackedUserOperation memory op = sponsored(payCall(packed(), 10e6, 0, false), 3, 0);
        signByKey(op, "");
        handle(op);
        _refusedByEntryPoint(op, "AA25 invalid account nonce");
        equal(usd.balanceOf(PAYEE), 10e6, "paid once");
    }

    function test_replayAfterUpgrade() public {
        deadline = uint40(vm.getBlockTimestamp() + 7 days);
        bytes memory signature = _laneSignature();
        account.payBillSigned(packed(), payment(10e6, 0, false), deadline, signature);
        OpenVPPAccount next = new OpenVPPAccount(address(entryPoint), selfCustody);
        upgrade(address(next));
        _refusedInLane(account, signature);
        equal(usd.balanceOf(PAYEE), 10e6, "paid once");
    }

    function test_signatureMalleability() public {
        bytes memory signature = _laneSignature();
        (bytes32 r, bytes32 s) = (bytes32(0), bytes32(0));
        uint8 v = uint8(signature[64]);
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        _refusedInLane(account, abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
        _refusedInLane(account, abi.encodePacked(r, s, uint8(v - 27)));
        _refusedInLane(account, abi.encodePacked(r, s, v, uint8(0)));
        _refusedInLane(account, abi.encodePacked(bytes32(0), bytes32(0), v));
    }

    function test_signaturesOfAnOldOwnerInstallNothing() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes memory install = installSignature(words);
        give(vm.addr(STRANGER));
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(STRANGER)));
        account.installSession(words, install);
    }

    function test_deployingToAnothersAddressWithAnotherOwner() public {
        address victim = factory.accountAddress(vm.addr(OWNER), OTHER_SALT);
        vm.prank(vm.addr(STRANGER));
        address made = factory.createAccount(vm.addr(STRANGER), OTHER_SALT);
        isTrue(made != victim, "another address");
        equal(victim.code.length, 0, "nothing stands there");
        vm.expectRevert(
            abi.encodeWithSelector(OpenVPPAccountFactory.NotSenderCreatorOrOwner.selector, vm.addr(STRANGER))
        );
        vm.prank(vm.addr(STRANGER));
        factory.createAccount(vm.addr(OWNER), OTHER_SALT);
    }

    /// @dev Somebody takes the install signature out of a pending operation and installs first: the operation still
    /// goes through.
    function test_frontRunningInstall() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes memory install = installSignature(words);
        PackedUserOperation memory op = sponsored(payCall(words, 10e6, 0, false), 3, 0);
        signByKey(op, install);
        vm.prank(vm.addr(STRANGER));
        account.installSession(words, install);
        handle(op);
        equal(usd.balanceOf(PAYEE), 10e6, "paid");
    }

    /// @dev The owner revokes a policy that was never installed: its install signature is worth nothing afterwards.
    function test_frontRunningRevoke() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes memory install = installSignature(words);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = Policies.id(words);
        asOwner();
        account.revokeSessions(ids);
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, ids[0], 2));
        account.installSession(words, install);
    }

    function test_frontRunningUpgrade() public {
        OpenVPPAccount next = new OpenVPPAccount(address(entryPoint), selfCustody);
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(KEY)));
        vm.prank(vm.addr(KEY));
        control.upgradeToAndCall(address(next), "");
        PackedUserOperation memory op =
            sponsored(abi.encodeCall(AccountControl.upgradeToAndCall, (address(next), "")), 3, 0);
        signByKey(op, "");
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.expectRevert(
            abi.encodeWithSelector(
                IEntryPoint.FailedOpWithRevert.selector,
                0,
                "AA23 reverted",
                abi.encodeWithSelector(AccountBase.NotASessionCall.selector, AccountControl.upgradeToAndCall.selector)
            )
        );
        vm.prank(BENEFICIARY, BENEFICIARY);
        entryPoint.handleOps(ops, BENEFICIARY);
    }

    function test_initialisationOfTheImplementation() public {
        equal(implementation.owner(), address(0), "obeys nobody");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        AccountControl(address(implementation)).changeOwner(address(this));
        bytes memory install = leaveBy(OWNER, packed(), address(implementation));
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, address(0)));
        implementation.installSession(packed(), install);
    }

    /// @dev Ours stands in ERC-7201 namespaces: nothing lies in the first slots, where other code would put its own.
    function test_storageCollision() public {
        give(vm.addr(OWNER));
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 1, 0, false);
        for (uint256 slot = 0; slot < 16; ++slot) {
            equal(vm.load(address(account), bytes32(slot)), bytes32(0), "a low slot");
        }
        bytes32 accountSlot = 0x677288ac3ece3bc8bcb8f445573953fb306cbccb0fd87a72ef8fdabd6a605e00;
        equal(vm.load(address(account), accountSlot), bytes32(uint256(uint160(vm.addr(OWNER)))), "owner's slot");
        bytes32 sessionsSlot = 0xfb4fe4f1fab75a65e5c293df623c4046b7403e117481b120a4eafa7159854100;
        bytes32 word = vm.load(address(account), keccak256(abi.encode(Policies.id(packed()), sessionsSlot)));
        equal(word, bytes32((uint256(1) << 160) | (uint256(1) << 64) | 1), "the session's word");
    }

    function test_periodEdgesAndClockDrift() public {
        vm.warp(START + MONTH - 1);
        account.payBillSigned(packed(), payment(10e6, 0, false), uint40(START + MONTH), _drifting(10e6, 0));
        // A block producer that shifts the clock by some seconds opens the next period, never a third one.
        vm.warp(START + MONTH);
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 100e6, 0, false);
        vm.warp(START + MONTH + 12);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePeriodLimit.selector, 200e6, 150e6));
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 100e6, 0, false);
        equal(spent(), 110e6, "spent");
    }

    function _drifting(uint256 amount, uint32 sequence) private view returns (bytes memory) {
        return sign(
            KEY,
            Policies.paymentDigest(packed(), REF, amount, 0, false, sequence, uint40(START + MONTH), address(account))
        );
    }
}
