// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {CallPolicy, CallRule, WordBound} from "../../src/account/CallPolicy.sol";
import {CallSessions} from "../../src/account/CallSessions.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {CallWorld, Program} from "../support/CallWorld.sol";
import {Phones} from "../support/Phones.sol";

contract InstallCallSessionTest is CallWorld {
    function test_installsWhoeverBringsIt() public {
        equal(control.callSessionInstallDigest(policy, CONSENT), control.callSessionInstallDigest(policy, CONSENT), "");
        bytes memory leave = leaveFor(OWNER);
        vm.expectEmit(address(account));
        emit CallSessions.CallSessionInstalled(idOf(), vm.addr(KEY), CONSENT, policy);
        control.installCallSession(policy, leave);
        (uint256 flags,,,,) = account.session(idOf());
        equal(flags, 1, "installed");
        control.installCallSession(policy, "");
    }

    function test_refusesOthersAndOtherConsents() public {
        bytes memory forged = leaveFor(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        control.installCallSession(policy, forged);
        bytes memory other = leaveFor(OWNER);
        other[0] = bytes1(uint8(other[0]) ^ 1);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        control.installCallSession(policy, other);
    }

    function test_refusesPoliciesThatCannotBeEnforced() public {
        CallPolicy memory good = policy;
        for (uint256 i = 0; i < 3; ++i) {
            policy = good;
            if (i == 0) policy.key = address(0);
            if (i == 1) policy.endsAt = policy.startsAt;
            if (i == 2) policy.maxCalls = 0;
            bytes memory leave = leaveFor(OWNER);
            vm.expectRevert(abi.encodeWithSelector(Sessions.PolicyNotEnforceable.selector, idOf()));
            control.installCallSession(policy, leave);
        }
    }

    function test_revokedStaysRevoked() public {
        install();
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = idOf();
        asOwner();
        account.revokeSessions(ids);
        bytes memory leave = leaveFor(OWNER);
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, ids[0], 3));
        control.installCallSession(policy, leave);
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, ids[0], 3));
        make(0, 0, enrollment(7));
    }
}

contract CallBySessionTest is CallWorld {
    function setUp() public override {
        super.setUp();
        install();
    }

    function test_callsWithinItsRules() public {
        vm.expectEmit(address(account));
        emit CallSessions.SessionCalled(idOf(), address(program), Program.enroll.selector, 5);
        make(0, 5, enrollment(7));
        equal(program.kilowattsOf(address(account)), 7, "enrolled");
        equal(address(program).balance, 5, "value");
        make(1, 0, abi.encodeCall(Program.leave, ()));
        equal(program.kilowattsOf(address(account)), 0, "left");
    }

    function testFuzz_argumentsStayWithinTheirBounds(uint256 kilowatts, address device, uint256 value) public {
        kilowatts = bound(kilowatts, 0, 24);
        value = bound(value, 0, 8);
        bytes memory data = abi.encodeCall(Program.enroll, (kilowatts, kilowatts % 2 == 0 ? DEVICE : device));
        bool within = kilowatts >= 2 && kilowatts <= 20 && value <= 5 && (kilowatts % 2 == 0 || device == DEVICE);
        if (!within) return refused(0, value, data);
        make(0, value, data);
        equal(program.kilowattsOf(address(account)), kilowatts, "enrolled");
    }

    function test_refusesOtherFunctionsAndShortCalls() public {
        refused(0, 0, abi.encodeCall(Program.leave, ()));
        refused(0, 0, abi.encodePacked(Program.enroll.selector, uint256(7), uint248(0)));
        refused(0, 0, hex"12");
        refused(1, 1, abi.encodeCall(Program.leave, ()));
        equal(program.calls(), 0, "nothing was called");
    }

    function test_refusesRulesThatAreNotThePolicys() public {
        rules[0].maxValue = 6;
        refused(0, 6, enrollment(7));
        vm.expectRevert(
            abi.encodeWithSelector(CallSessions.CallNotAllowed.selector, address(program), Program.leave.selector)
        );
        vm.prank(address(entryPoint));
        control.callBySession(policy, rules[1], new bytes32[](0), 0, abi.encodeCall(Program.leave, ()));
    }

    function test_makesSoManyCallsAndNoMore() public {
        for (uint256 i = 0; i < 3; ++i) {
            make(0, 0, enrollment(7));
        }
        vm.expectRevert(abi.encodeWithSelector(CallSessions.NoCallsLeft.selector, 3));
        make(0, 0, enrollment(7));
        equal(program.calls(), 3, "calls");
    }

    function test_aCallThatFailsIsNotCounted() public {
        vm.expectRevert(Program.Full.selector);
        make(0, 0, enrollment(13));
        for (uint256 i = 0; i < 3; ++i) {
            make(0, 0, enrollment(7));
        }
    }

    function test_callsWithinItsLife() public {
        vm.warp(policy.endsAt);
        vm.expectRevert(
            abi.encodeWithSelector(Sessions.OutsideSession.selector, policy.endsAt, policy.startsAt, policy.endsAt)
        );
        make(0, 0, enrollment(7));
        vm.warp(policy.startsAt - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                Sessions.OutsideSession.selector, policy.startsAt - 1, policy.startsAt, policy.endsAt
            )
        );
        make(0, 0, enrollment(7));
    }

    function test_neverCallsTheAccountOrTheEntryPoint() public {
        rules[0].bounds.pop();
        rules[0].bounds.pop();
        address[2] memory targets = [address(account), address(entryPoint)];
        for (uint256 i = 0; i < 2; ++i) {
            rules[0].target = targets[i];
            allow(targets[i], Program.enroll.selector);
            only(rules[0]);
            policy.rules = leafOf(rules[0]);
            vm.expectRevert(
                abi.encodeWithSelector(CallSessions.CallNotAllowed.selector, targets[i], Program.enroll.selector)
            );
            vm.prank(address(entryPoint));
            control.callBySession(policy, rules[0], new bytes32[](0), 0, enrollment(7));
        }
    }

    function test_custodiansKindsOfCallWaitTwoDays() public {
        bytes memory call = abi.encodeCall(AccountControl.allowCalls, (address(program), Program.again.selector));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(call), 0));
        asOwner();
        control.allowCalls(address(program), Program.again.selector);
        asOwner();
        control.forbidCalls(address(program), Program.enroll.selector);
        refused(0, 0, enrollment(7));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        control.forbidCalls(address(program), Program.leave.selector);
        vm.warp(START + 4 days);
        announce(abi.encodeCall(AccountControl.allowCalls, (address(program), Program.enroll.selector)));
        vm.expectEmit(address(account));
        emit AccountControl.CallKindChanged(address(program), Program.enroll.selector, true);
        control.allowCalls(address(program), Program.enroll.selector);
        make(0, 0, enrollment(7));
    }

    function test_inSelfCustodyKindsNeedNoAnnouncement() public {
        asOwner();
        control.forbidCalls(address(program), Program.enroll.selector);
        leave(vm.addr(STRANGER));
        control.installCallSession(policy, leaveFor(STRANGER));
        make(0, 0, enrollment(7));
        equal(program.calls(), 1, "called");
    }

    function test_reentrancyCountsOnce() public {
        CallRule memory rule;
        rule.target = address(program);
        rule.selector = Program.again.selector;
        rule.bounds = new WordBound[](0);
        allow(address(program), Program.again.selector);
        only(rule);
        bytes memory inner = abi.encodeCall(
            AccountControl.callBySession, (policy, rule, new bytes32[](0), 0, abi.encodeCall(Program.leave, ()))
        );
        vm.prank(address(entryPoint));
        control.callBySession(
            policy, rule, new bytes32[](0), 0, abi.encodeCall(Program.again, (address(account), inner))
        );
        (, uint256 total,,,) = account.session(idOf());
        equal(total, 0, "no units");
    }

    function test_refusesOthersThanTheEntryPoint() public {
        address[3] memory callers = [vm.addr(KEY), vm.addr(OWNER), address(account)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, callers[i]));
            vm.prank(callers[i]);
            control.callBySession(policy, rules[1], proofOf(1), 0, abi.encodeCall(Program.leave, ()));
        }
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        control.validateCallSession("", 0, "");
    }
}

contract MoveTokensTest is CallWorld {
    function _rule(bytes4 selector) private view returns (CallRule memory rule) {
        rule.target = address(usd);
        rule.selector = selector;
    }

    function _bounds(CallRule memory rule, WordBound memory a, WordBound memory b) private pure {
        rule.bounds = new WordBound[](2);
        rule.bounds[0] = a;
        rule.bounds[1] = b;
    }

    function _try(CallRule memory rule, bytes memory data, bool passes) private {
        only(rule);
        if (!passes) {
            vm.expectRevert(abi.encodeWithSelector(CallSessions.CallNotAllowed.selector, rule.target, rule.selector));
        }
        vm.prank(address(entryPoint));
        control.callBySession(policy, rule, new bytes32[](0), 0, data);
    }

    function test_transfersOnlyToAFixedPartyAndOfABoundedAmount() public {
        allow(address(usd), usd.transfer.selector);
        CallRule memory rule = _rule(usd.transfer.selector);
        bytes memory data = abi.encodeCall(usd.transfer, (PAYEE, 5));
        _try(rule, data, false);
        _bounds(rule, WordBound(0, 0, type(uint160).max), WordBound(1, 0, 5));
        _try(rule, data, false);
        _bounds(rule, WordBound(0, uint160(PAYEE), uint160(PAYEE)), WordBound(1, 0, uint256(type(uint96).max) + 1));
        _try(rule, data, false);
        _bounds(rule, WordBound(0, uint160(PAYEE), uint160(PAYEE)), WordBound(1, 0, 5));
        _try(rule, abi.encodeCall(usd.transfer, (PAYEE, 6)), false);
        _try(rule, abi.encodeCall(usd.transfer, (address(this), 5)), false);
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
        _try(rule, data, true);
        equal(usd.balanceOf(PAYEE), 5, "moved");
    }

    function test_approvesLikeItTransfers() public {
        allow(address(usd), usd.approve.selector);
        CallRule memory rule = _rule(usd.approve.selector);
        _try(rule, abi.encodeCall(usd.approve, (PAYEE, 5)), false);
        _bounds(rule, WordBound(0, uint160(PAYEE), uint160(PAYEE)), WordBound(1, 0, 5));
        _try(rule, abi.encodeCall(usd.approve, (PAYEE, 5)), true);
        equal(usd.allowance(address(account), PAYEE), 5, "allowance");
    }

    function test_takesOnlyBetweenFixedParties() public {
        allow(address(usd), usd.transferFrom.selector);
        CallRule memory rule = _rule(usd.transferFrom.selector);
        bytes memory data = abi.encodeCall(usd.transferFrom, (address(account), PAYEE, 5));
        _bounds(rule, WordBound(1, uint160(PAYEE), uint160(PAYEE)), WordBound(2, 0, 5));
        _try(rule, data, false);
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
    }

    function test_otherWaysToGiveTokensAwayCannotBeRuled() public {
        bytes4[12] memory selectors = [
            bytes4(keccak256("safeTransferFrom(address,address,uint256)")),
            bytes4(keccak256("safeTransferFrom(address,address,uint256,bytes)")),
            bytes4(keccak256("setApprovalForAll(address,bool)")),
            bytes4(keccak256("safeTransferFrom(address,address,uint256,uint256,bytes)")),
            bytes4(keccak256("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)")),
            bytes4(keccak256("send(address,uint256,bytes)")),
            bytes4(keccak256("authorizeOperator(address)")),
            bytes4(keccak256("transferAndCall(address,uint256)")),
            bytes4(keccak256("transferAndCall(address,uint256,bytes)")),
            bytes4(keccak256("approveAndCall(address,uint256)")),
            bytes4(keccak256("approveAndCall(address,uint256,bytes)")),
            bytes4(keccak256("burn(uint256)"))
        ];
        for (uint256 i = 0; i < selectors.length; ++i) {
            allow(address(usd), selectors[i]);
            vm.warp(START + 3 days);
            CallRule memory rule = _rule(selectors[i]);
            _bounds(rule, WordBound(0, 0, 0), WordBound(1, 0, 0));
            _try(rule, abi.encodePacked(selectors[i], new bytes(64)), false);
        }
    }
}

contract ValidateCallSessionTest is CallWorld {
    function _operation(bytes memory ofKey, bytes memory leave, bytes memory data)
        private
        view
        returns (PackedUserOperation memory op)
    {
        op = sponsored(data, 3, 0);
        op.signature = abi.encodePacked(uint8(1), uint16(ofKey.length), ofKey, leave);
    }

    function _call() private view returns (bytes memory) {
        return abi.encodeCall(AccountControl.callBySession, (policy, rules[0], proofOf(0), 0, enrollment(7)));
    }

    function test_enrollsThroughTheEntryPoint() public {
        PackedUserOperation memory op = sponsored(_call(), 3, 0);
        signByKey(op, leaveFor(OWNER));
        handle(op);
        equal(program.kilowattsOf(address(account)), 7, "enrolled");
    }

    function test_aPhoneEnrolls() public {
        policy.key = Phones.nameOf(PHONE);
        PackedUserOperation memory op = sponsored(_call(), 3, 0);
        op.accountGasLimits = bytes32((uint256(1_500_000) << 128) | 300_000);
        sponsor(op, sponsorFields(3, 0), SPONSOR);
        bytes memory ofKey = Phones.assertion(PHONE, entryPoint.getUserOpHash(op), 0x05);
        op.signature = abi.encodePacked(uint8(1), uint16(ofKey.length), ofKey, leaveFor(OWNER));
        handle(op);
        equal(program.kilowattsOf(address(account)), 7, "enrolled");
    }

    function test_keyEndsItself() public {
        install();
        vm.prank(vm.addr(KEY));
        control.renounceCallSession(policy);
        (uint256 flags,,,,) = account.session(idOf());
        equal(flags, 3, "revoked");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        control.renounceCallSession(policy);
    }

    function test_saysItsLifeAndWhoseSignatureItIs() public {
        install();
        bytes32 hash = keccak256("operation");
        PackedUserOperation memory op = _operation(sign(KEY, hash), "", _call());
        uint256 window = (uint256(START - 1) << 208) | (uint256(START + 30 days - 1) << 160);
        vm.prank(address(entryPoint));
        equal(account.validateUserOp(op, hash, 0), window, "genuine");
        op = _operation(sign(STRANGER, hash), "", _call());
        vm.prank(address(entryPoint));
        equal(account.validateUserOp(op, hash, 0), window | 1, "forged");
    }

    function test_aPolicyForBillsIsNoneForCalls() public {
        bytes32[5] memory words = packed();
        bytes memory call = abi.encodePacked(AccountControl.callBySession.selector, words, new bytes(64));
        PackedUserOperation memory op = _operation(sign(KEY, bytes32(0)), "", call);
        vm.expectRevert();
        vm.prank(address(entryPoint));
        account.validateUserOp(op, bytes32(0), 0);
    }
}
