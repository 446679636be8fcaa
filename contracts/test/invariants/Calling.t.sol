// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {CallPolicy, CallRule, WordBound} from "../../src/account/CallPolicy.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {Program} from "../support/CallWorld.sol";
import {Phones} from "../support/Phones.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";
import {Game, Player} from "./Game.sol";

/// @dev An account that a passkey owns. Session 0 pays bills with a phone's key, on both paths; sessions 1 and 2 call,
/// with a plain key and a phone's. Everything signed goes through the EntryPoint or the account's side of the lane, and
/// each action knows beforehand whether it must come to pass.
contract Household is World, Player {
    struct Execution {
        address target;
        uint256 value;
        bytes data;
    }

    uint256 public constant SESSIONS = 3;
    uint256 public constant MAX_CALLS = 40;
    uint256 public constant MOST = 1e6;
    address public constant FRIEND = address(0xF41E4D);
    address public constant HOME = address(0x403E);

    address private constant DEVICE = address(0xDE71CE);
    uint256 private constant OWNER_PHONE = 0x0911;
    uint256 private constant KEY_PHONE = 0x9407E;
    bytes32 private constant BATCH = bytes32(uint256(1) << 248);

    Program private program;
    CallRule[2] private _rules;
    CallPolicy[2] private _policies;
    mapping(uint256 which => bool) private _stopped;
    uint256 private _nextRef;

    uint256 public billed;
    uint256 public mostInOnePayment;
    mapping(uint256 period => uint256) public billedInPeriod;
    uint256 public sent;
    uint256 public moved;
    uint256 public valueSent;
    uint256[2] public calls;

    function setUp() public override {
        super.setUp();
        address owner = Phones.nameOf(OWNER_PHONE);
        vm.prank(owner);
        account = OpenVPPAccount(payable(factory.createAccount(owner, SALT)));
        control = AccountControl(address(account));
        usd.mint(address(account), 10_000e6);
        vm.deal(address(account), 1 ether);
        program = new Program();
        _rules[0].target = address(program);
        _rules[0].selector = Program.enroll.selector;
        _rules[0].maxValue = 5;
        _rules[0].bounds.push(WordBound(0, 2, 20));
        _rules[0].bounds.push(WordBound(1, uint160(DEVICE), uint160(DEVICE)));
        _rules[1].target = address(usd);
        _rules[1].selector = usd.transfer.selector;
        _rules[1].bounds.push(WordBound(0, uint160(FRIEND), uint160(FRIEND)));
        _rules[1].bounds.push(WordBound(1, 1, MOST));
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory change = abi.encodeCall(AccountControl.allowCalls, (_rules[i].target, _rules[i].selector));
            vm.prank(owner);
            control.scheduleChange(change);
            vm.warp(vm.getBlockTimestamp() + 48 hours);
            vm.prank(owner);
            control.allowCalls(_rules[i].target, _rules[i].selector);
        }
        (bytes32 a, bytes32 b) = (_leaf(_rules[0]), _leaf(_rules[1]));
        bytes32 root = a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
        account.installSession(words(), _leave(account.sessionInstallDigest(words(), CONSENT)));
        for (uint256 i = 0; i < 2; ++i) {
            address key = i == 0 ? vm.addr(KEY) : Phones.nameOf(KEY_PHONE);
            _policies[i] = CallPolicy(key, uint40(START), uint40(START + 9_000 days), uint32(MAX_CALLS), 9, root);
            control.installCallSession(_policies[i], _leave(control.callSessionInstallDigest(_policies[i], CONSENT)));
        }
    }

    function policy() public view returns (SessionPolicy memory bills) {
        bills = policyOf();
        bills.key = Phones.nameOf(KEY_PHONE);
        bills.maxPerPayment = 3e6;
        bills.maxPerPeriod = 20e6;
        bills.maxTotal = 60e6;
        bills.maxFee = 1e5;
    }

    function words() public view returns (bytes32[5] memory) {
        return Policies.pack(policy());
    }

    /// @param how Now and then by another phone, by a passkey, or of more than may be.
    function payByOperation(uint96 amount, uint96 fee, uint8 how) external plays {
        (uint256 sum, uint256 bounded) = _amounts(amount, fee, how);
        uint256 secret = how % 4 == 1 ? KEY_PHONE + 1 : KEY_PHONE;
        PackedUserOperation memory op = _operation(payCall(words(), sum, bounded, false), 2, uint128(bounded));
        bytes memory ofKey = _signed(secret, entryPoint.getUserOpHash(op), how % 16 == 2);
        op.signature = abi.encodePacked(uint8(1), uint16(ofKey.length), ofKey);
        bool may = _mayPay(sum, bounded) && secret == KEY_PHONE;
        _handled(op);
        _book(sum + bounded, may);
    }

    /// @param how Now and then by another phone, by a passkey, out of order, or of more than may be.
    function payByLane(uint96 amount, uint96 fee, uint8 how) external plays {
        (uint256 sum, uint256 bounded) = _amounts(amount, fee, how);
        uint256 secret = how % 4 == 1 ? KEY_PHONE + 1 : KEY_PHONE;
        uint256 skew = how % 8 == 2 ? 1 : 0;
        (,,,, uint256 sequence) = account.session(Policies.id(words()));
        uint40 deadline = uint40(vm.getBlockTimestamp() + 10);
        bytes32 digest = account.billPaymentDigest(
            Policies.id(words()), payment(sum, bounded, false), uint32(sequence + skew), deadline
        );
        bytes memory ofKey = _signed(secret, digest, how % 16 == 4);
        bool may = _mayPay(sum, bounded) && secret == KEY_PHONE && skew == 0;
        bytes memory call = abi.encodeCall(
            account.payBillSigned,
            (words(), payment(sum, bounded, false), deadline, abi.encodePacked(uint16(ofKey.length), ofKey))
        );
        (bool done,) = address(account).call(call);
        isTrue(done == may, "the lane judged otherwise");
        (done,) = address(account).call(call);
        isTrue(!done, "the same intent again");
        _book(sum + bounded, may);
    }

    /// @param how Now and then by another key, to another party, by a rule of its own making, with too much value, or
    /// with arguments out of bounds.
    function call(uint8 which, bool tokens, uint256 argument, uint8 how) external plays {
        which %= 2;
        CallRule memory rule = _rules[tokens ? 1 : 0];
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(_rules[tokens ? 0 : 1]);
        argument = tokens ? bound(argument, 1, MOST * 9 / 8) : bound(argument, 1, 21);
        address party = how % 8 == 1 ? PAYEE : tokens ? FRIEND : DEVICE;
        uint256 value = tokens ? 0 : how % 8 == 3 ? 6 : how % 6;
        if (how % 16 == 5) rule.bounds[1] = WordBound(1, 0, type(uint96).max);
        bool genuine = how % 8 != 7;
        bool may = genuine && how % 8 != 1 && how % 16 != 5 && value <= rule.maxValue && !_stopped[1 + which]
            && calls[which] < MAX_CALLS && (tokens ? argument <= MOST : argument >= 2 && argument <= 20);
        // The program is full at this size: the call fails, and is not counted.
        if (!tokens && argument == 13) may = false;
        bytes memory data = tokens
            ? abi.encodeCall(usd.transfer, (party, argument))
            : abi.encodeCall(Program.enroll, (argument, party));
        PackedUserOperation memory op = _operation(
            abi.encodeCall(AccountControl.callBySession, (_policies[which], rule, proof, value, data)), 3, 0
        );
        op.signature = _signatureOf(which, genuine, entryPoint.getUserOpHash(op));
        uint256 before = program.calls() + usd.balanceOf(FRIEND);
        _handled(op);
        bool done = program.calls() + usd.balanceOf(FRIEND) != before;
        isTrue(done == may, "the session judged otherwise");
        if (!done) return;
        if (tokens) sent += argument;
        valueSent += value;
        ++calls[which];
        success();
    }

    /// @dev Whatever a stranger sends fails, and the same for a session's key that does not go through the EntryPoint.
    function byOthers(uint256 secret, uint8 which) external plays {
        address who = which % 2 == 0 ? vm.addr(bound(secret, 1, 1e30)) : vm.addr(KEY);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _leaf(_rules[1]);
        bytes[6] memory attempts = [
            abi.encodeCall(
                AccountControl.callBySession,
                (_policies[0], _rules[0], proof, 0, abi.encodeCall(Program.enroll, (2, DEVICE)))
            ),
            payCall(words(), 1, 0, false),
            abi.encodeCall(account.execute, (BATCH, abi.encode(_moving(1)))),
            abi.encodeCall(AccountControl.allowCalls, (FRIEND, bytes4(0x12345678))),
            abi.encodeCall(account.unfreezeSessions, (_one(which % SESSIONS))),
            abi.encodeCall(AccountControl.changeOwner, (who))
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            vm.prank(who);
            (bool done,) = address(account).call(attempts[i]);
            isTrue(!done, "others were obeyed");
        }
        success();
    }

    /// @param how Now and then signed by the session's phone instead of the owner's.
    function ownerMoves(uint96 amount, uint8 how) external plays {
        amount = uint96(bound(amount, 1, 1e6));
        uint256 before = usd.balanceOf(HOME);
        _byOwner(abi.encodeCall(account.execute, (BATCH, abi.encode(_moving(amount)))), how);
        bool done = usd.balanceOf(HOME) != before;
        isTrue(done == (how % 4 != 1), "the owner's move");
        if (!done) return;
        moved += amount;
        success();
    }

    function freeze(uint8 which, uint8 how) external plays {
        which %= uint8(SESSIONS);
        bytes32[] memory ids = _one(which);
        bool frozen = how % 8 == 0;
        _byOwner(
            frozen ? abi.encodeCall(account.freezeSessions, (ids)) : abi.encodeCall(account.unfreezeSessions, (ids)),
            how
        );
        (uint256 flags,,,,) = account.session(ids[0]);
        if (how % 4 != 1) isTrue(frozen == (flags & 4 != 0), "frozen");
        _stopped[which] = flags != 1;
        if (how % 4 != 1) success();
    }

    /// @dev Rarely and late, as nothing is done afterwards: a key ends itself.
    function end(uint8 which, uint256 chance, bool genuine) external plays {
        if (chance % 64 != 0 || played < 300) return;
        which %= 2;
        PackedUserOperation memory op =
            _operation(abi.encodeCall(AccountControl.renounceCallSession, (_policies[which])), 3, 0);
        op.signature = _signatureOf(which, genuine, entryPoint.getUserOpHash(op));
        isTrue(_handled(op) == genuine, "who ends it");
        if (!genuine) return;
        _stopped[1 + which] = true;
        success();
    }

    function pass(uint32 time) external plays {
        vm.warp(vm.getBlockTimestamp() + bound(time, 1, 4 days));
        success();
    }

    /// @dev What account, payee, friend and home hold, and the account's coin.
    function holdings() external view returns (uint256[4] memory units, uint256 coin, uint256 programs) {
        units = [usd.balanceOf(address(account)), usd.balanceOf(PAYEE), usd.balanceOf(FRIEND), usd.balanceOf(HOME)];
        return (units, address(account).balance, address(program).balance);
    }

    /// @dev What the chain counts of a session: units spent, and calls made or payments on the lane.
    function counted(uint256 which) external view returns (uint256 units, uint256 times) {
        (, units,,, times) = account.session(_one(which)[0]);
    }

    function period() public view returns (uint256) {
        return (vm.getBlockTimestamp() - START) / MONTH;
    }

    function _mayPay(uint256 amount, uint256 fee) private view returns (bool) {
        uint256 leaving = amount + fee;
        SessionPolicy memory bills = policy();
        return !_stopped[0] && vm.getBlockTimestamp() < bills.endsAt && fee <= bills.maxFee
            && leaving <= bills.maxPerPayment && billed + leaving <= bills.maxTotal
            && billedInPeriod[period()] + leaving <= bills.maxPerPeriod;
    }

    function _book(uint256 leaving, bool may) private {
        uint256 received = usd.balanceOf(PAYEE) - billed;
        equal(received, may ? leaving : 0, "what the payee received");
        if (!may) return;
        billed += leaving;
        billedInPeriod[period()] += leaving;
        if (leaving > mostInOnePayment) mostInOnePayment = leaving;
        success();
    }

    function _amounts(uint96 amount, uint96 fee, uint8 how) private pure returns (uint256, uint256) {
        return (bound(amount, 1, how % 8 == 3 ? 4e6 : 1e6), bound(fee, 0, how % 8 == 5 ? 2e5 : 1e5));
    }

    function _operation(bytes memory data, uint8 mode, uint128 fee)
        private
        view
        returns (PackedUserOperation memory op)
    {
        op = operation(data);
        op.accountGasLimits = bytes32((uint256(1_500_000) << 128) | 400_000);
        sponsor(op, sponsorFields(mode, fee), SPONSOR);
    }

    function _handled(PackedUserOperation memory op) private returns (bool) {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.prank(BENEFICIARY, BENEFICIARY);
        try entryPoint.handleOps(ops, BENEFICIARY) {
            return true;
        } catch {
            return false;
        }
    }

    function _byOwner(bytes memory data, uint8 how) private {
        PackedUserOperation memory op = _operation(data, 3, 0);
        uint256 secret = how % 4 == 1 ? KEY_PHONE : OWNER_PHONE;
        op.signature = abi.encodePacked(uint8(0), _signed(secret, entryPoint.getUserOpHash(op), how % 16 == 2));
        isTrue(_handled(op) == (secret == OWNER_PHONE), "who is the owner");
    }

    function _signed(uint256 secret, bytes32 digest, bool asPasskey) private returns (bytes memory signature) {
        signature = asPasskey ? Phones.assertion(secret, digest, 0x05) : Phones.sign(secret, digest);
        Phones.witness(digest, signature);
    }

    function _signatureOf(uint256 which, bool genuine, bytes32 digest) private returns (bytes memory) {
        if (which == 0) return abi.encodePacked(uint8(1), sign(genuine ? KEY : STRANGER, digest));
        bytes memory ofKey = _signed(genuine ? KEY_PHONE : KEY_PHONE + 1, digest, uint256(digest) % 4 == 0);
        return abi.encodePacked(uint8(1), uint16(ofKey.length), ofKey);
    }

    function _leave(bytes32 digest) private returns (bytes memory) {
        return abi.encodePacked(CONSENT, _signed(OWNER_PHONE, digest, false));
    }

    function _moving(uint256 amount) private view returns (Execution[] memory batch) {
        batch = new Execution[](1);
        batch[0] = Execution(address(usd), 0, abi.encodeCall(usd.transfer, (HOME, amount)));
    }

    function _one(uint256 which) private view returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = which == 0 ? Policies.id(words()) : control.callSessionId(_policies[which - 1]);
    }

    function _leaf(CallRule memory rule) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(rule))));
    }
}

contract CallingInvariants is Game {
    Household private household;

    function setUp() public {
        household = new Household();
        household.setUp();
        bytes4[] memory needed = new bytes4[](7);
        needed[0] = Household.payByOperation.selector;
        needed[1] = Household.payByLane.selector;
        needed[2] = Household.call.selector;
        needed[3] = Household.byOthers.selector;
        needed[4] = Household.ownerMoves.selector;
        needed[5] = Household.freeze.selector;
        needed[6] = Household.pass.selector;
        bytes4[] memory rare = new bytes4[](1);
        rare[0] = Household.end.selector;
        play(household, needed, rare);
    }

    /// @dev The rules below, checked together, as each would be played on its own otherwise. That each action came to
    /// pass exactly if it may is checked with each.
    function invariant_calling() external view {
        spentWithinEveryLimit();
        noFundsLeaveWithoutOwnerOrPolicy();
        countersAreTheBooks();
    }

    /// @dev Never over a limit, whatever path was taken and whatever curve signed.
    function spentWithinEveryLimit() public view {
        SessionPolicy memory policy = household.policy();
        isTrue(household.billed() <= policy.maxTotal, "total");
        isTrue(household.mostInOnePayment() <= policy.maxPerPayment, "payment");
        isTrue(household.billedInPeriod(household.period()) <= policy.maxPerPeriod, "period");
        uint256 made = household.calls(0) + household.calls(1);
        isTrue(household.calls(0) <= household.MAX_CALLS() && household.calls(1) <= household.MAX_CALLS(), "calls");
        isTrue(household.sent() <= made * household.MOST(), "sent");
        isTrue(household.valueSent() <= made * 5, "coin");
    }

    /// @dev What left is what bills, calls and the owner took, and it is where they said.
    function noFundsLeaveWithoutOwnerOrPolicy() public view {
        (uint256[4] memory units, uint256 coin, uint256 programs) = household.holdings();
        (uint256 billed, uint256 sent, uint256 moved) = (household.billed(), household.sent(), household.moved());
        equal(units[0], 10_000e6 - billed - sent - moved, "account");
        equal(units[1], billed, "payee");
        equal(units[2], sent, "friend");
        equal(units[3], moved, "home");
        equal(coin, 1 ether - household.valueSent(), "coin");
        equal(programs, household.valueSent(), "the program's coin");
    }

    function countersAreTheBooks() public view {
        (uint256 units,) = household.counted(0);
        equal(units, household.billed(), "bills");
        for (uint256 which = 1; which < household.SESSIONS(); ++which) {
            (, uint256 times) = household.counted(which);
            equal(times, household.calls(which - 1), "calls");
        }
    }
}
