// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccountBase} from "../../src/account/AccountBase.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

abstract contract SessionsWorld is World {
    function one() internal view returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = Policies.id(packed());
    }

    function payRefused(uint256 flags) internal {
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(packed()), flags));
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 1, 0, false);
    }
}

contract InstallSessionTest is SessionsWorld {
    function setUp() public override {
        super.setUp();
        deploy();
    }

    function test_installsWhoeverBringsIt() public {
        bytes memory install = installSignature(packed());
        vm.expectEmit(address(account));
        emit BillSessions.SessionInstalled(Policies.id(packed()), vm.addr(KEY), CONSENT, packed());
        account.installSession(packed(), install);
        equal(flagsOf(packed()), 1, "flags");
    }

    function test_digestIsTheAccountsOwn() public view {
        equal(
            account.sessionInstallDigest(packed(), CONSENT),
            Policies.installDigest(packed(), CONSENT, address(account)),
            "digest"
        );
    }

    function test_doesNothingTwice() public {
        account.installSession(packed(), installSignature(packed()));
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 7, 0, false);
        account.installSession(packed(), "");
        equal(spent(), 7, "the counters stay");
    }

    function test_refusesAnother() public {
        bytes memory forged = leaveBy(STRANGER, packed(), address(account));
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        account.installSession(packed(), forged);
    }

    function test_refusesRevoked() public {
        asOwner();
        account.revokeSessions(one());
        bytes memory install = installSignature(packed());
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(packed()), 2));
        account.installSession(packed(), install);
    }

    function _refusesPolicy(SessionPolicy memory policy) private {
        bytes32[5] memory words = Policies.pack(policy);
        bytes memory install = installSignature(words);
        vm.expectRevert(abi.encodeWithSelector(Sessions.PolicyNotEnforceable.selector, Policies.id(words)));
        account.installSession(words, install);
    }

    function test_refusesPoliciesThatCannotBeEnforced() public {
        SessionPolicy memory policy = policyOf();
        policy.key = address(0);
        _refusesPolicy(policy);
        policy = policyOf();
        policy.payee = address(0);
        _refusesPolicy(policy);
        policy = policyOf();
        policy.token = address(0);
        _refusesPolicy(policy);
        policy = policyOf();
        policy.feeToken = policy.token;
        _refusesPolicy(policy);
        policy = policyOf();
        policy.endsAt = policy.startsAt;
        _refusesPolicy(policy);
        policy = policyOf();
        policy.periodSeconds = 3599;
        _refusesPolicy(policy);
        policy = policyOf();
        policy.periodSeconds = 3600;
        policy.endsAt = policy.startsAt + uint40(3600) * (1 << 24);
        _refusesPolicy(policy);
    }

    function test_acceptsOnePeriodForTheWholeLife() public {
        SessionPolicy memory policy = policyOf();
        policy.periodSeconds = 0;
        bytes32[5] memory words = Policies.pack(policy);
        account.installSession(words, installSignature(words));
        vm.warp(START + 300 days);
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 1, 0, false);
        (,,, uint256 period,) = account.session(Policies.id(words));
        equal(period, 0, "period");
    }
}

contract RevokeSessionsTest is SessionsWorld {
    function setUp() public override {
        super.setUp();
        open();
    }

    function test_ownerEndsASessionForEver() public {
        vm.expectEmit(address(account));
        emit Sessions.SessionRevoked(Policies.id(packed()));
        asOwner();
        account.revokeSessions(one());
        equal(flagsOf(packed()), 3, "flags");
        payRefused(3);
    }

    function test_refusesOthers() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(KEY)));
        vm.prank(vm.addr(KEY));
        account.revokeSessions(one());
    }
}

contract FreezeSessionsTest is SessionsWorld {
    function setUp() public override {
        super.setUp();
        open();
    }

    function test_ownerStopsASessionAndLetsItGoOn() public {
        vm.expectEmit(address(account));
        emit Sessions.SessionFrozen(Policies.id(packed()), true);
        asOwner();
        account.freezeSessions(one());
        payRefused(5);
        vm.expectEmit(address(account));
        emit Sessions.SessionFrozen(Policies.id(packed()), false);
        asOwner();
        account.unfreezeSessions(one());
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 1, 0, false);
    }

    function test_refusesOthers() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        account.freezeSessions(one());
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        account.unfreezeSessions(one());
    }
}

contract RenounceSessionTest is SessionsWorld {
    function setUp() public override {
        super.setUp();
        open();
    }

    function test_keyEndsItself() public {
        vm.expectEmit(address(account));
        emit Sessions.SessionRevoked(Policies.id(packed()));
        vm.prank(vm.addr(KEY));
        account.renounceSession(packed());
        payRefused(3);
    }

    function test_keyEndsItselfByOperation() public {
        vm.prank(address(entryPoint));
        account.renounceSession(packed());
        equal(flagsOf(packed()), 3, "flags");
    }

    function test_refusesOthers() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(STRANGER)));
        vm.prank(vm.addr(STRANGER));
        account.renounceSession(packed());
    }
}
