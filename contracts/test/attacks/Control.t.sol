// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Execution} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {CallRule} from "../../src/account/CallPolicy.sol";
import {CallSessions} from "../../src/account/CallSessions.sol";
import {Exits} from "../../src/account/Exits.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {CallWorld, Program} from "../support/CallWorld.sol";
import {Phones} from "../support/Phones.sol";
import {Policies} from "../support/Policies.sol";

/// @dev What a session may call and should not: it burns gas, or answers more than anybody can pay to read.
contract Bomb {
    function burn() external pure {
        while (true) {}
    }

    function shout() external pure {
        assembly ("memory-safe") {
            return(0, 1000000)
        }
    }
}

/// @dev Getting around the delay, the customer's exit, and the rules of sessions that call.
contract ControlAttacks is CallWorld {
    address private constant CUSTOMER = address(0xC057);
    address private constant GUARDIAN = address(0x60A4D);
    address private constant NEXT = address(0x4E87);
    bytes32 private constant BATCH = bytes32(uint256(1) << 248);

    function _custody() private {
        asOwner();
        control.enrolCustomer(CUSTOMER);
    }

    function _guarded() private {
        _custody();
        asOwner();
        control.setGuardian(GUARDIAN);
    }

    function _changes() private view returns (bytes[3] memory) {
        return [
            abi.encodeCall(AccountControl.changeOwner, (NEXT)),
            abi.encodeCall(AccountControl.upgradeToAndCall, (address(selfCustody), "")),
            abi.encodeCall(AccountControl.allowCalls, (NEXT, bytes4(0x12345678)))
        ];
    }

    function _toSelf(bytes memory data) private view returns (bytes memory) {
        Execution[] memory calls = new Execution[](1);
        calls[0] = Execution(address(account), 0, data);
        return abi.encode(calls);
    }

    /// @dev By an operation, by a batch to itself, and directly: the same rule each time.
    function test_custodianGoesAroundTheDelay() public {
        bytes[3] memory changes = _changes();
        for (uint256 i = 0; i < changes.length; ++i) {
            bytes memory why = abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, keccak256(changes[i]), 0);
            PackedUserOperation memory op = sponsored(changes[i], 3, 0);
            signByOwner(op);
            handle(op);
            vm.prank(address(entryPoint));
            (bool done, bytes memory answer) = address(account).call(changes[i]);
            isTrue(!done && keccak256(answer) == keccak256(why), "by an operation");
            asOwner();
            (done, answer) = address(account).call(abi.encodeCall(account.execute, (BATCH, _toSelf(changes[i]))));
            isTrue(!done && keccak256(answer) == keccak256(why), "by a batch to itself");
            asOwner();
            (done, answer) = address(account).call(abi.encodePacked(changes[i], uint8(0)));
            isTrue(!done && bytes4(answer) == AccountControl.ChangeNotReady.selector, "with a byte more");
        }
        equal(account.owner(), vm.addr(OWNER), "owner");
        isTrue(!control.isSelfCustodied(), "implementation");
    }

    /// @dev ERC-7579 knows modes that delegate or try; an account that took them could be rewritten in one call.
    function test_batchModesThatDelegateOrTry() public {
        bytes32[4] memory modes = [
            bytes32(uint256(0xff) << 248),
            bytes32((uint256(0x01) << 248) | (uint256(0x01) << 240)),
            bytes32(0),
            bytes32(uint256(0xfe) << 248)
        ];
        bytes memory data = abi.encodePacked(address(new Bomb()), Bomb.shout.selector);
        for (uint256 i = 0; i < modes.length; ++i) {
            isTrue(!account.supportsExecutionMode(modes[i]), "mode");
            vm.expectRevert();
            asOwner();
            account.execute(modes[i], data);
        }
    }

    function test_sessionKeyReachesDelegatedCode() public {
        bytes4[8] memory selectors = [
            AccountControl.changeOwner.selector,
            AccountControl.scheduleChange.selector,
            AccountControl.cancelChange.selector,
            AccountControl.setGuardian.selector,
            AccountControl.allowCalls.selector,
            Exits.announceExit.selector,
            AccountControl.validateCallSession.selector,
            account.execute.selector
        ];
        for (uint256 i = 0; i < selectors.length; ++i) {
            PackedUserOperation memory op = sponsored(abi.encodePacked(selectors[i], packed(), new bytes(64)), 3, 0);
            signByKey(op, "");
            vm.expectRevert(abi.encodeWithSelector(AccountBase.NotASessionCall.selector, selectors[i]));
            vm.prank(address(entryPoint));
            account.validateUserOp(op, bytes32(0), 0);
        }
    }

    /// @dev The delegated code by itself, and delegated to by the implementation, has no owner and no sessions.
    function test_delegatedCodeInAnotherContext() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        AccountControl(address(implementation)).announceExit(NEXT, false);
        PackedUserOperation memory op =
            sponsored(abi.encodeCall(AccountControl.callBySession, (policy, rules[1], proofOf(1), 0, "")), 3, 0);
        signByKey(op, leaveFor(OWNER));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(entryPoint)));
        vm.prank(address(entryPoint));
        implementation.validateUserOp(op, bytes32(0), 0);
        AccountControl alone = new AccountControl(address(entryPoint), address(selfCustody), account.passkeys());
        equal(alone.owner(), address(0), "no owner");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        alone.upgradeToAndCall(address(implementation), "");
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, address(0)));
        alone.installCallSession(policy, leaveFor(OWNER));
    }

    /// @dev Only what the customer signed moves the nonce on, so nobody makes the customer's own word stale.
    function test_griefingTheCustomersNonce() public {
        asOwner();
        control.enrolCustomer(Phones.nameOf(PHONE));
        bytes memory call = abi.encodeCall(Exits.announceExit, (NEXT, false));
        bytes memory signature = Phones.assertion(PHONE, control.customerCallDigest(call), 0x05);
        bytes memory forged = Phones.assertion(PHONE + 1, control.customerCallDigest(call), 0x05);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, Phones.nameOf(PHONE)));
        control.callAsCustomer(call, forged);
        asOwner();
        control.announceExit(PAYEE, true);
        control.callAsCustomer(call, signature);
        equal(control.announcedExit().newOwner, NEXT, "the customer's");
    }

    /// @dev A custodian who sees the customer's exit come makes its own, and changes that are ripe already.
    function test_frontRunningTheCustomersExit() public {
        _custody();
        bytes memory change = abi.encodeCall(AccountControl.changeOwner, (PAYEE));
        asOwner();
        control.scheduleChange(change);
        asOwner();
        control.announceExit(PAYEE, true);
        vm.warp(START + 6 days);
        vm.prank(CUSTOMER);
        control.announceExit(NEXT, false);
        vm.expectRevert(Exits.ExitIsPending.selector);
        asOwner();
        control.changeOwner(PAYEE);
        vm.expectRevert(abi.encodeWithSelector(Exits.ExitNotReady.selector, START + 8 days));
        control.exit();
        vm.warp(START + 8 days);
        control.exit();
        equal(account.owner(), NEXT, "owner");
    }

    /// @dev An exit that keeps the guardian keeps none who came after it was announced, or just before.
    function test_slippingAGuardianIntoTheCustomersExit() public {
        _custody();
        asOwner();
        control.setGuardian(PAYEE);
        vm.prank(CUSTOMER);
        control.announceExit(NEXT, true);
        vm.expectRevert(Exits.ExitIsPending.selector);
        asOwner();
        control.setGuardian(GUARDIAN);
        vm.warp(vm.getBlockTimestamp() + 48 hours);
        control.exit();
        equal(control.guardian(), address(0), "guardian");
    }

    function test_replayOfARecovery() public {
        _guarded();
        vm.prank(GUARDIAN);
        control.scheduleRecovery(NEXT);
        vm.warp(START + 5 days);
        control.recover(vm.addr(OWNER), NEXT);
        bytes memory back = abi.encodeCall(AccountControl.changeOwner, (vm.addr(OWNER)));
        vm.prank(NEXT);
        control.scheduleChange(back);
        vm.warp(START + 7 days);
        vm.prank(NEXT);
        control.changeOwner(vm.addr(OWNER));
        bytes32 recovery = keccak256(abi.encodeCall(AccountControl.recover, (vm.addr(OWNER), NEXT)));
        vm.expectRevert(abi.encodeWithSelector(AccountControl.ChangeNotReady.selector, recovery, 0));
        control.recover(vm.addr(OWNER), NEXT);
        equal(account.owner(), vm.addr(OWNER), "owner");
    }

    /// @dev What the custodian announced before an exit serves nobody after it, whoever is owner and implementation then.
    function test_announcementsOutliveAnExit() public {
        _guarded();
        vm.warp(START + 5 days);
        vm.prank(GUARDIAN);
        control.scheduleRecovery(PAYEE);
        bytes memory change = abi.encodeCall(AccountControl.upgradeToAndCall, (address(implementation), ""));
        asOwner();
        control.scheduleChange(change);
        vm.prank(CUSTOMER);
        control.announceExit(NEXT, true);
        vm.warp(START + 7 days);
        control.exit();
        equal(control.guardian(), GUARDIAN, "guardian");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(OWNER)));
        asOwner();
        control.upgradeToAndCall(address(implementation), "");
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, vm.addr(OWNER)));
        control.recover(vm.addr(OWNER), PAYEE);
        equal(account.owner(), NEXT, "owner");
    }

    /// @dev A node of the tree is no leaf: leaves are hashed twice.
    function test_secondPreimageOfTheRules() public {
        CallRule memory rule = rules[1];
        policy.rules = keccak256(abi.encode(rule));
        policy.salt += 1;
        install();
        vm.expectRevert(
            abi.encodeWithSelector(CallSessions.CallNotAllowed.selector, address(program), Program.leave.selector)
        );
        vm.prank(address(entryPoint));
        control.callBySession(policy, rules[1], new bytes32[](0), 0, abi.encodeCall(Program.leave, ()));
    }

    /// @dev By no way but an operation of its own key does a session call: not the owner's batch, not the lane.
    function test_callBySessionByBatchOrLane() public {
        install();
        bytes memory call =
            abi.encodeCall(AccountControl.callBySession, (policy, rules[0], proofOf(0), 0, enrollment(7)));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(account)));
        asOwner();
        account.execute(BATCH, _toSelf(call));
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(lane)));
        vm.prank(address(lane));
        (bool done,) = address(account).call(call);
        done;
        equal(program.calls(), 0, "calls");
    }

    /// @dev Value is bounded by the rule and calls by the policy, so all that can leave is known when it is signed.
    function test_valueBombInACallSession() public {
        install();
        for (uint256 i = 0; i < 3; ++i) {
            refused(0, 6, enrollment(7));
            make(0, 5, enrollment(7));
        }
        vm.expectRevert(abi.encodeWithSelector(CallSessions.NoCallsLeft.selector, 3));
        make(0, 5, enrollment(7));
        equal(address(account).balance, 1 ether - 15, "left");
    }

    /// @dev A target that burns or shouts takes its own operation down, within that operation's gas, and nothing else.
    function test_gasAndReturndataBombsInACallSession() public {
        address bomb = address(new Bomb());
        bytes4[2] memory selectors = [Bomb.burn.selector, Bomb.shout.selector];
        for (uint256 i = 0; i < 2; ++i) {
            allow(bomb, selectors[i]);
            CallRule memory rule;
            rule.target = bomb;
            rule.selector = selectors[i];
            only(rule);
            vm.warp(START + 8 days);
            PackedUserOperation memory op = sponsored(
                abi.encodeCall(
                    AccountControl.callBySession, (policy, rule, new bytes32[](0), 0, abi.encodePacked(selectors[i]))
                ),
                3,
                0
            );
            signByKey(op, "");
            uint256 before = gasleft();
            handle(op);
            isTrue(before - gasleft() < 1_000_000, "no more than its own gas");
        }
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 1, 0, false);
        equal(usd.balanceOf(PAYEE), 1, "others go on");
    }

    /// @dev A key that may pay bills turns the account's native coin into gas for itself: operations that name no
    /// paymaster are the owner's alone.
    function test_sessionKeyBurnsNativeCoinAsGas() public {
        PackedUserOperation memory op = operation(payCall(packed(), 1, 0, false));
        op.gasFees = bytes32((uint256(1000 gwei) << 128) | 1000 gwei);
        signByKey(op, "");
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.expectRevert();
        vm.prank(BENEFICIARY, BENEFICIARY);
        entryPoint.handleOps(ops, BENEFICIARY);
        equal(address(account).balance, 1 ether, "nothing left");
    }

    /// @dev A name is the hash of one key's point. The same secret on the other curve is another name.
    function test_nameOfAKeyOnTheOtherCurve() public {
        uint40 deadline = uint40(vm.getBlockTimestamp() + 60);
        bytes32 digest = Policies.paymentDigest(packed(), REF, 1, 0, false, 0, deadline, address(account));
        bytes memory raw = Phones.sign(KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        account.payBillSigned(packed(), payment(1, 0, false), deadline, abi.encodePacked(uint16(raw.length), raw));
        bytes32[5] memory words = packed();
        words[0] = bytes32((uint256(uint160(Phones.nameOf(KEY))) << 96) | uint96(uint256(words[0])));
        account.installSession(words, installSignature(words));
        digest = Policies.paymentDigest(words, REF, 1, 0, false, 0, deadline, address(account));
        bytes memory short = sign(KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, Phones.nameOf(KEY)));
        account.payBillSigned(words, payment(1, 0, false), deadline, short);
        equal(usd.balanceOf(PAYEE), 0, "nothing moved");
    }

    /// @dev A P-256 key sends nothing itself, so a stopped one must be able to end itself by an operation.
    function test_stoppingAKeyKeepsItFromEndingItself() public {
        bytes32[5] memory words = packed();
        words[0] = bytes32((uint256(uint160(Phones.nameOf(PHONE))) << 96) | uint96(uint256(words[0])));
        account.installSession(words, installSignature(words));
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = Policies.id(words);
        asOwner();
        account.freezeSessions(ids);
        PackedUserOperation memory op = sponsored(abi.encodeCall(OpenVPPAccount.renounceSession, (words)), 3, 0);
        op.accountGasLimits = bytes32((uint256(1_500_000) << 128) | 300_000);
        sponsor(op, sponsorFields(3, 0), SPONSOR);
        bytes memory raw = Phones.sign(PHONE, entryPoint.getUserOpHash(op));
        op.signature = abi.encodePacked(uint8(1), uint16(raw.length), raw);
        handle(op);
        equal(flagsOf(words), 7, "ended");
    }
}
