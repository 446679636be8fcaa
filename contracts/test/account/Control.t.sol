// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountControl} from "../../src/account/AccountControl.sol";
import {Exits} from "../../src/account/Exits.sol";
import {Parties} from "../../src/account/Parties.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {ControlWorld} from "../support/ControlWorld.sol";
import {Phones} from "../support/Phones.sol";

contract ChangeOwnerTest is ControlWorld {
    function test_custodianGivesTheAccountAwayAfterTwoDays() public {
        announce(abi.encodeCall(AccountControl.changeOwner, (NEXT)));
        vm.expectEmit(address(account));
        emit Parties.OwnerChanged(vm.addr(OWNER), NEXT);
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
        vm.expectRevert(Parties.OwnerIsZero.selector);
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
        emit Parties.CustomerEnrolled(address(2));
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
        _bring(abi.encodeCall(Exits.announceExit, (NEXT, false)));
        isTrue(control.announcedExit().isCustomers, "the customer's");
        vm.expectRevert(Exits.ExitIsPending.selector);
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
        _bring(abi.encodeCall(Exits.announceExit, (NEXT, true)));
        _bring(abi.encodeWithSelector(Exits.cancelExit.selector));
        equal(control.announcedExit().newOwner, address(0), "stays");
        _bring(abi.encodeCall(AccountControl.enrolCustomer, (CUSTOMER)));
        equal(control.customer(), CUSTOMER, "customer");
    }

    function test_aSignatureServesOnceHereAndOnThisChain() public {
        bytes memory call = abi.encodeCall(Exits.announceExit, (NEXT, false));
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
