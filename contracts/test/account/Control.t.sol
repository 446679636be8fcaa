// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {Phones} from "../support/Phones.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

abstract contract ControlWorld is World {
    address internal constant NEXT = address(0x4E87);
    address internal constant CUSTOMER = address(0xC057);
    address internal constant GUARDIAN = address(0x60A4D);
    uint256 internal constant PHONE = 0x9407E;

    function setUp() public virtual override {
        super.setUp();
        open();
        asOwner();
        control.enrolCustomer(CUSTOMER);
        asOwner();
        control.setGuardian(GUARDIAN);
    }

    function one() internal view returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = Policies.id(packed());
    }

    function refused(address caller) internal {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, caller));
        vm.prank(caller);
    }

    function pay(uint256 amount) internal {
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, amount, 0, false);
    }
}

contract ChangeOwnerTest is ControlWorld {
    function test_custodianGivesTheAccountAwayAfterTwoDays() public {
        announce(abi.encodeCall(AccountControl.changeOwner, (NEXT)));
        vm.expectEmit(address(account));
        emit AccountControl.OwnerChanged(vm.addr(OWNER), NEXT);
        control.changeOwner(NEXT);
        equal(account.owner(), NEXT, "owner");
        isTrue(!control.isSelfCustodied(), "still in custody");
        refused(vm.addr(OWNER));
        control.changeOwner(vm.addr(OWNER));
    }

    function test_customerWhoOwnsWaitsForNothing() public {
        leave(NEXT);
        vm.prank(NEXT);
        control.changeOwner(vm.addr(STRANGER));
        equal(account.owner(), vm.addr(STRANGER), "owner");
    }

    function test_custodianMustAnnounceAndWait() public {
        bytes memory call = abi.encodeCall(AccountControl.changeOwner, (NEXT));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.changeOwner(NEXT);
        asOwner();
        control.scheduleChange(call);
        uint256 ready = control.changeReadyAt(keccak256(call));
        equal(ready, START + 100 + 48 hours, "ready");
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), ready));
        asOwner();
        control.changeOwner(NEXT);
        vm.warp(ready);
        bytes memory other = abi.encodeCall(AccountControl.changeOwner, (PAYEE));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(other), 0));
        asOwner();
        control.changeOwner(PAYEE);
        vm.warp(ready + 14 days);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), ready));
        asOwner();
        control.changeOwner(NEXT);
        vm.warp(ready + 14 days - 1);
        asOwner();
        control.changeOwner(NEXT);
        equal(account.owner(), NEXT, "owner");
    }

    function test_anAnnouncementServesOnceAndForItsOwnerOnly() public {
        give(vm.addr(OWNER));
        bytes memory call = abi.encodeCall(AccountControl.changeOwner, (vm.addr(OWNER)));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.changeOwner(vm.addr(OWNER));
        call = abi.encodeCall(AccountControl.changeOwner, (PAYEE));
        asOwner();
        control.scheduleChange(call);
        uint256 ready = vm.getBlockTimestamp() + 48 hours;
        give(NEXT);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), ready));
        vm.prank(NEXT);
        control.changeOwner(PAYEE);
    }

    function test_refusesZeroAndOthers() public {
        announce(abi.encodeCall(AccountControl.changeOwner, (address(0))));
        vm.expectRevert(AccountControl.OwnerIsZero.selector);
        control.changeOwner(address(0));
        refused(address(this));
        control.changeOwner(address(this));
    }
}

contract ScheduleChangeTest is ControlWorld {
    bytes private call;
    bytes32 private callHash;

    function setUp() public override {
        super.setUp();
        call = abi.encodeCall(AccountControl.changeOwner, (address(1)));
        callHash = keccak256(call);
    }

    function test_saysWhatIsToCome() public {
        vm.expectEmit(address(account));
        emit AccountControl.ChangeScheduled(callHash, call, vm.getBlockTimestamp() + 48 hours);
        asOwner();
        control.scheduleChange(call);
        equal(control.changeReadyAt(callHash), vm.getBlockTimestamp() + 48 hours, "ready");
    }

    function test_refusesOtherCallsAndOtherCallers() public {
        vm.expectRevert(abi.encodeWithSelector(AccountControl.NotAChange.selector, bytes4(0x12345678)));
        asOwner();
        control.scheduleChange(hex"12345678");
        bytes memory recovery = abi.encodeCall(AccountControl.recover, (vm.addr(OWNER), NEXT));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.NotAChange.selector, AccountControl.recover.selector));
        asOwner();
        control.scheduleChange(recovery);
        refused(address(this));
        control.scheduleChange(call);
    }

    function test_customerCancels() public {
        asOwner();
        control.scheduleChange(call);
        vm.expectEmit(address(account));
        emit AccountControl.ChangeCancelled(callHash);
        vm.prank(CUSTOMER);
        control.cancelChange(callHash);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, callHash, 0));
        asOwner();
        control.changeOwner(address(1));
    }

    function test_ownerCancelsAndOthersDont() public {
        asOwner();
        control.scheduleChange(call);
        refused(vm.addr(STRANGER));
        control.cancelChange(callHash);
        refused(GUARDIAN);
        control.cancelChange(callHash);
        asOwner();
        control.cancelChange(callHash);
        equal(control.changeReadyAt(callHash), 0, "called off");
    }

    function test_onlyTheCustomerReplacesTheCustomer() public {
        refused(vm.addr(OWNER));
        control.enrolCustomer(address(1));
        vm.expectEmit(address(account));
        emit AccountControl.CustomerEnrolled(address(2));
        vm.prank(CUSTOMER);
        control.enrolCustomer(address(2));
        equal(control.customer(), address(2), "customer");
    }
}

contract CallAsCustomerTest is ControlWorld {
    function setUp() public override {
        super.setUp();
        vm.prank(CUSTOMER);
        control.enrolCustomer(Phones.nameOf(PHONE));
    }

    function _signed(bytes memory call) private view returns (bytes memory) {
        return Phones.assertion(PHONE, control.customerCallDigest(call), 0x05);
    }

    function _bring(bytes memory call) private {
        bytes memory signature = _signed(call);
        vm.prank(vm.addr(STRANGER));
        control.callAsCustomer(call, signature);
    }

    function test_passkeyStartsAnExitThatNobodyElseStops() public {
        _bring(abi.encodeCall(AccountControl.announceExit, (NEXT, false)));
        isTrue(control.announcedExit().isCustomers, "the customer's");
        vm.expectRevert(AccountControl.ExitIsPending.selector);
        asOwner();
        control.cancelExit();
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
        equal(account.owner(), NEXT, "owner");
    }

    function test_passkeyCallsOffAndReplacesItself() public {
        bytes memory change = abi.encodeCall(AccountControl.changeOwner, (NEXT));
        asOwner();
        control.scheduleChange(change);
        _bring(abi.encodeCall(AccountControl.cancelChange, (keccak256(change))));
        equal(control.changeReadyAt(keccak256(change)), 0, "called off");
        _bring(abi.encodeCall(AccountControl.announceExit, (NEXT, true)));
        _bring(abi.encodeWithSelector(AccountControl.cancelExit.selector));
        equal(control.announcedExit().newOwner, address(0), "stays");
        _bring(abi.encodeCall(AccountControl.enrolCustomer, (CUSTOMER)));
        equal(control.customer(), CUSTOMER, "customer");
    }

    function test_aSignatureServesOnceHereAndOnThisChain() public {
        bytes memory call = abi.encodeCall(AccountControl.announceExit, (NEXT, false));
        bytes memory signature = _signed(call);
        control.callAsCustomer(call, signature);
        address key = Phones.nameOf(PHONE);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, key));
        control.callAsCustomer(call, signature);
        signature = _signed(call);
        vm.chainId(4242);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, key));
        control.callAsCustomer(call, signature);
    }

    function test_refusesOtherKeysAndOtherCalls() public {
        bytes memory call = abi.encodeCall(AccountControl.changeOwner, (NEXT));
        bytes memory signature = _signed(call);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.NotAChange.selector, AccountControl.changeOwner.selector));
        control.callAsCustomer(call, signature);
        bytes memory forged = Phones.assertion(PHONE + 1, control.customerCallDigest(call), 0x05);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, Phones.nameOf(PHONE)));
        control.callAsCustomer(call, forged);
        equal(account.owner(), vm.addr(OWNER), "owner");
    }
}

contract GuardianTest is ControlWorld {
    function test_theFirstIsAppointedAtOnceAnotherAfterTwoDays() public {
        bytes memory call = abi.encodeCall(AccountControl.setGuardian, (NEXT));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.setGuardian(NEXT);
        announce(call);
        vm.expectEmit(address(account));
        emit AccountControl.GuardianChanged(NEXT);
        control.setGuardian(NEXT);
        equal(control.guardian(), NEXT, "guardian");
        refused(GUARDIAN);
        control.setGuardian(GUARDIAN);
    }

    function testFuzz_holdsSessionsForAWeek(uint256 passed) public {
        uint256 until = vm.getBlockTimestamp() + 7 days;
        vm.expectEmit(address(account));
        emit Sessions.SessionHeld(Policies.id(packed()), until);
        vm.prank(GUARDIAN);
        account_hold();
        equal(account.heldUntil(Policies.id(packed())), until, "until");
        vm.warp(vm.getBlockTimestamp() + bound(passed, 0, 7 days - 1));
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(packed()), 9));
        pay(5);
        equal(flagsOf(packed()), 9, "held");
        vm.warp(until);
        equal(flagsOf(packed()), 1, "live again");
        pay(5);
        pay(6);
        equal(spent(), 11, "spent");
    }

    function account_hold() private {
        control.holdSessions(one());
    }

    function test_ownerEndsAHoldSoonerAndItNeverEndsAFreeze() public {
        vm.prank(GUARDIAN);
        control.holdSessions(one());
        asOwner();
        account.unfreezeSessions(one());
        pay(5);
        asOwner();
        account.freezeSessions(one());
        vm.prank(GUARDIAN);
        control.holdSessions(one());
        vm.warp(vm.getBlockTimestamp() + 7 days);
        equal(flagsOf(packed()), 5, "frozen still");
    }

    function test_aHoldKeepsInstallingAway() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = Policies.id(words);
        vm.prank(GUARDIAN);
        control.holdSessions(ids);
        bytes memory leave = installSignature(words);
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, ids[0], 8));
        account.installSession(words, leave);
        vm.warp(vm.getBlockTimestamp() + 7 days);
        account.installSession(words, leave);
        equal(flagsOf(words), 1, "installed");
    }

    function test_revokesSessions() public {
        vm.prank(GUARDIAN);
        account.revokeSessions(one());
        equal(flagsOf(packed()), 3, "revoked");
    }

    function test_movesAndChangesNothing() public {
        refused(GUARDIAN);
        account.payBill(packed(), REF, 1, 0, false);
        refused(GUARDIAN);
        account.freezeSessions(one());
        refused(GUARDIAN);
        account.unfreezeSessions(one());
        refused(GUARDIAN);
        control.changeOwner(GUARDIAN);
        refused(GUARDIAN);
        control.upgradeToAndCall(address(implementation), "");
        refused(GUARDIAN);
        control.announceExit(GUARDIAN, true);
        refused(GUARDIAN);
        control.cancelExit();
        refused(GUARDIAN);
        control.allowCalls(PAYEE, 0x12345678);
        vm.expectRevert();
        vm.prank(GUARDIAN);
        account.execute(bytes32(uint256(1) << 248), "");
        refused(vm.addr(STRANGER));
        control.holdSessions(one());
        refused(vm.addr(OWNER));
        control.holdSessions(one());
        refused(vm.addr(STRANGER));
        account.revokeSessions(one());
        equal(usd.balanceOf(address(account)), 10_000e6, "nothing moved");
    }

    function _recovery() private view returns (bytes32) {
        return keccak256(abi.encodeCall(AccountControl.recover, (vm.addr(OWNER), NEXT)));
    }

    function _startRecovery() private returns (uint256 ready) {
        vm.prank(GUARDIAN);
        control.scheduleRecovery(NEXT);
        return vm.getBlockTimestamp() + 48 hours;
    }

    function test_recoveryWaitsTwoDays() public {
        uint256 ready = _startRecovery();
        equal(control.changeReadyAt(_recovery()), ready, "ready");
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, _recovery(), ready));
        control.recover(vm.addr(OWNER), NEXT);
        vm.warp(ready);
        vm.expectEmit(address(account));
        emit AccountControl.OwnerChanged(vm.addr(OWNER), NEXT);
        control.recover(vm.addr(OWNER), NEXT);
        equal(account.owner(), NEXT, "owner");
    }

    function test_ownerOrCustomerCancelsARecovery() public {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 ready = _startRecovery();
            vm.prank(i == 0 ? CUSTOMER : vm.addr(OWNER));
            control.cancelChange(_recovery());
            vm.warp(ready);
            vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, _recovery(), 0));
            control.recover(vm.addr(OWNER), NEXT);
        }
    }

    function test_aRecoveryIsTheGuardiansAndFromThisOwner() public {
        refused(vm.addr(OWNER));
        control.scheduleRecovery(NEXT);
        vm.warp(_startRecovery());
        give(vm.addr(STRANGER));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(OWNER)));
        control.recover(vm.addr(OWNER), NEXT);
    }

    function test_aGuardianWhoIsGoneRecoversNothing() public {
        vm.warp(_startRecovery());
        announce(abi.encodeCall(AccountControl.setGuardian, (address(0))));
        control.setGuardian(address(0));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        control.recover(vm.addr(OWNER), NEXT);
    }

    function test_aRecoveryWaitsForAnExit() public {
        vm.warp(_startRecovery());
        asOwner();
        control.announceExit(CUSTOMER, true);
        vm.expectRevert(AccountControl.ExitIsPending.selector);
        control.recover(vm.addr(OWNER), NEXT);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(OWNER)));
        control.recover(vm.addr(OWNER), NEXT);
        equal(account.owner(), CUSTOMER, "owner");
    }
}

contract ExitTest is ControlWorld {
    function _announce(address by, bool keepsGuardian) private returns (uint256 ready) {
        ready = vm.getBlockTimestamp() + 48 hours;
        vm.expectEmit(address(account));
        emit AccountControl.ExitAnnounced(NEXT, ready, keepsGuardian, by == CUSTOMER);
        vm.prank(by);
        control.announceExit(NEXT, keepsGuardian);
    }

    function test_removesCustodianSessionsAndGuardianInOneStep() public {
        pay(7);
        uint256 ready = _announce(vm.addr(OWNER), false);
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ExitNotReady.selector, ready));
        control.exit();
        vm.warp(ready);
        vm.expectEmit(address(account));
        emit AccountControl.Exited(NEXT);
        vm.prank(vm.addr(STRANGER));
        control.exit();
        equal(account.owner(), NEXT, "owner");
        equal(control.guardian(), address(0), "guardian");
        equal(control.customer(), CUSTOMER, "customer");
        isTrue(control.isSelfCustodied(), "self-custody");
        equal(flagsOf(packed()), 0, "session");
        equal(spent(), 0, "as if it never was");
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(packed()), 0));
        pay(7);
        bytes memory old = installSignature(packed());
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, NEXT));
        account.installSession(packed(), old);
        refused(vm.addr(OWNER));
        account.freezeSessions(one());
        equal(usd.balanceOf(PAYEE), 7, "paid before");
    }

    function test_keepsTheGuardianIfAsked() public {
        vm.warp(_announce(vm.addr(OWNER), true));
        control.exit();
        equal(control.guardian(), GUARDIAN, "guardian");
    }

    function test_theNewOwnerStartsAfresh() public {
        leave(vm.addr(STRANGER));
        bytes memory fresh = leaveBy(STRANGER, packed(), address(account));
        account.installSession(packed(), fresh);
        pay(9);
        equal(spent(), 9, "spent");
        bytes32 outside = keccak256(abi.encode(Policies.id(packed()), SESSIONS_SLOT));
        bytes32 inside = keccak256(abi.encode(Policies.id(packed()), bytes32(uint256(SESSIONS_SLOT) + 1)));
        equal(uint8(uint256(vm.load(address(account), outside))), 1, "the custodian's word is left behind");
        equal(uint256(vm.load(address(account), inside)) >> 160, 9, "and another is kept");
    }

    bytes32 private constant SESSIONS_SLOT = 0xfb4fe4f1fab75a65e5c293df623c4046b7403e117481b120a4eafa7159854100;

    function test_custodianCallsOffItsOwnOnly() public {
        _announce(vm.addr(OWNER), false);
        vm.expectEmit(address(account));
        emit AccountControl.ExitCancelled();
        asOwner();
        control.cancelExit();
        _announce(vm.addr(OWNER), false);
        _announce(CUSTOMER, false);
        vm.expectRevert(AccountControl.ExitIsPending.selector);
        asOwner();
        control.cancelExit();
        vm.expectRevert(AccountControl.ExitIsPending.selector);
        asOwner();
        control.announceExit(PAYEE, false);
        vm.prank(CUSTOMER);
        control.cancelExit();
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ExitNotReady.selector, 0));
        control.exit();
    }

    function test_nothingGetsInTheWayOfTheCustomersExit() public {
        bytes[4] memory changes = [
            abi.encodeCall(AccountControl.changeOwner, (PAYEE)),
            abi.encodeCall(AccountControl.upgradeToAndCall, (address(implementation), "")),
            abi.encodeCall(AccountControl.setGuardian, (PAYEE)),
            abi.encodeCall(AccountControl.allowCalls, (PAYEE, bytes4(0x12345678)))
        ];
        for (uint256 i = 0; i < 4; ++i) {
            asOwner();
            control.scheduleChange(changes[i]);
        }
        vm.prank(GUARDIAN);
        control.scheduleRecovery(PAYEE);
        uint256 ready = _announce(CUSTOMER, false);
        vm.warp(ready);
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(vm.addr(OWNER));
            (bool done, bytes memory why) = address(account).call(changes[i]);
            isTrue(!done && bytes4(why) == AccountControl.ExitIsPending.selector, "in the way");
        }
        vm.expectRevert(AccountControl.ExitIsPending.selector);
        control.recover(vm.addr(OWNER), PAYEE);
        control.exit();
        equal(account.owner(), NEXT, "owner");
    }

    function test_refusesOthersZeroAndAccountsOutOfCustody() public {
        refused(vm.addr(STRANGER));
        control.announceExit(NEXT, false);
        vm.expectRevert(AccountControl.OwnerIsZero.selector);
        asOwner();
        control.announceExit(address(0), false);
        leave(NEXT);
        vm.expectRevert(AccountControl.NotInCustody.selector);
        vm.prank(NEXT);
        control.announceExit(PAYEE, false);
    }
}
