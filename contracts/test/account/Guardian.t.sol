// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {Exits} from "../../src/account/Exits.sol";
import {Parties} from "../../src/account/Parties.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {ControlWorld} from "../support/ControlWorld.sol";
import {Policies} from "../support/Policies.sol";

contract GuardianTest is ControlWorld {
    function test_theFirstIsAppointedAtOnceAnotherAfterTwoDays() public {
        bytes memory call = abi.encodeCall(AccountControl.setGuardian, (NEXT));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.setGuardian(NEXT);
        announce(call);
        vm.expectEmit(address(account));
        emit Parties.GuardianChanged(NEXT);
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
        emit Parties.OwnerChanged(vm.addr(OWNER), NEXT);
        control.recover(vm.addr(OWNER), NEXT);
        equal(account.owner(), NEXT, "owner");
        equal(control.customer(), CUSTOMER, "in custody the customer's key stays");
    }

    function test_inSelfCustodyTheRecoveredKeyIsTheCustomersToo() public {
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        asOwner();
        control.announceExit(CUSTOMER, true);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
        vm.prank(GUARDIAN);
        control.scheduleRecovery(NEXT);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        vm.expectEmit(address(account));
        emit Parties.CustomerEnrolled(NEXT);
        control.recover(CUSTOMER, NEXT);
        equal(control.customer(), NEXT, "customer");
        refused(CUSTOMER);
        control.cancelChange(_recovery());
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
        vm.expectRevert(Exits.ExitIsPending.selector);
        control.recover(vm.addr(OWNER), NEXT);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(OWNER)));
        control.recover(vm.addr(OWNER), NEXT);
        equal(account.owner(), CUSTOMER, "owner");
    }
}
