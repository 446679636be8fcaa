// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {Exits} from "../../src/account/Exits.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {Parties} from "../../src/account/Parties.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {ControlWorld} from "../support/ControlWorld.sol";
import {Policies} from "../support/Policies.sol";

/// @dev Somebody else's implementation, which knows no custody.
contract Foreign {
    function proxiableUUID() external pure returns (bytes32) {
        return 0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc;
    }
}

contract ExitTest is ControlWorld {
    function _announce(address by, bool keepsGuardian) private returns (uint256 ready) {
        ready = vm.getBlockTimestamp() + 48 hours;
        vm.expectEmit(address(account));
        emit Exits.ExitAnnounced(NEXT, ready, keepsGuardian, by == CUSTOMER);
        vm.prank(by);
        control.announceExit(NEXT, keepsGuardian);
    }

    function test_removesCustodianSessionsAndGuardianInOneStep() public {
        pay(7);
        uint256 ready = _announce(vm.addr(OWNER), false);
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(Exits.ExitNotReady.selector, ready));
        control.exit();
        vm.warp(ready);
        vm.expectEmit(address(account));
        emit Exits.Exited(NEXT);
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
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        vm.warp(_announce(vm.addr(OWNER), true));
        control.exit();
        equal(control.guardian(), GUARDIAN, "guardian");
    }

    function test_keepsNoGuardianAppointedShortlyBefore() public {
        vm.warp(vm.getBlockTimestamp() + 48 hours - 1);
        uint256 ready = vm.getBlockTimestamp() + 48 hours;
        vm.expectEmit(address(account));
        emit Exits.ExitAnnounced(NEXT, ready, false, true);
        vm.prank(CUSTOMER);
        control.announceExit(NEXT, true);
        vm.warp(ready);
        vm.expectEmit(address(account));
        emit Parties.GuardianChanged(address(0));
        control.exit();
        equal(control.guardian(), address(0), "guardian");
    }

    function test_keepsNoGuardianAppointedMeanwhile() public {
        announce(abi.encodeCall(AccountControl.setGuardian, (address(0))));
        control.announceExit(NEXT, true);
        AccountBase.Exit memory announced = control.announcedExit();
        isTrue(announced.keepsGuardian, "keeps the guardian of now");
        asOwner();
        control.setGuardian(address(0));
        asOwner();
        control.setGuardian(PAYEE);
        isTrue(!control.announcedExit().keepsGuardian, "keeps nobody");
        vm.warp(announced.readyAt);
        control.exit();
        equal(control.guardian(), address(0), "guardian");
    }

    function test_noUpgradeLeadsBackIntoCustody() public {
        leave(NEXT);
        vm.expectRevert(AccountControl.CustodyIsOver.selector);
        vm.prank(NEXT);
        control.upgradeToAndCall(address(implementation), "");
        equal(flagsOf(packed()), 0, "the custodian's sessions stay behind");
        OpenVPPAccount next = new OpenVPPAccount(address(entryPoint), OpenVPPAccount(payable(0)));
        vm.prank(NEXT);
        control.upgradeToAndCall(address(next), "");
        isTrue(control.isSelfCustodied(), "self-custody");
        Foreign foreign = new Foreign();
        vm.prank(NEXT);
        control.upgradeToAndCall(address(foreign), "");
        equal(Foreign(address(account)).proxiableUUID(), foreign.proxiableUUID(), "somebody else's");
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
        emit Exits.ExitCancelled();
        asOwner();
        control.cancelExit();
        _announce(vm.addr(OWNER), false);
        _announce(CUSTOMER, false);
        vm.expectRevert(Exits.ExitIsPending.selector);
        asOwner();
        control.cancelExit();
        vm.expectRevert(Exits.ExitIsPending.selector);
        asOwner();
        control.announceExit(PAYEE, false);
        vm.prank(CUSTOMER);
        control.cancelExit();
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        vm.expectRevert(abi.encodeWithSelector(Exits.ExitNotReady.selector, 0));
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
            isTrue(!done && bytes4(why) == Exits.ExitIsPending.selector, "in the way");
        }
        vm.expectRevert(Exits.ExitIsPending.selector);
        control.recover(vm.addr(OWNER), PAYEE);
        control.exit();
        equal(account.owner(), NEXT, "owner");
    }

    function test_refusesOthersZeroAndAccountsOutOfCustody() public {
        refused(vm.addr(STRANGER));
        control.announceExit(NEXT, false);
        vm.expectRevert(Parties.OwnerIsZero.selector);
        asOwner();
        control.announceExit(address(0), false);
        leave(NEXT);
        vm.expectRevert(Exits.NotInCustody.selector);
        vm.prank(NEXT);
        control.announceExit(PAYEE, false);
    }
}
