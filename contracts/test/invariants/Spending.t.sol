// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {DevStablecoin} from "../../src/dev/DevStablecoin.sol";
import {OVPP} from "../../src/token/OVPP.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";
import {Game, Player} from "./Game.sol";

/// @dev Does to an account whatever anybody may try, over both paths and two sessions, and keeps books of its own.
contract Spender is Player {
    uint256 public constant SESSIONS = 2;
    uint256 private constant KEY = 0xB0B;
    uint256 private constant OWNER = 0xA11CE;

    OpenVPPAccount private immutable ACCOUNT;
    address private immutable ENTRY_POINT;
    DevStablecoin private immutable USD;
    OVPP private immutable TOKEN;

    SessionPolicy[2] private _policies;
    uint256[2] public paid;
    uint256[2] public paidInFeeToken;
    uint256[2] public payments;
    uint256[2] public mostInOnePayment;
    mapping(uint256 which => mapping(uint256 period => uint256)) public paidInPeriod;
    uint256[2] public highestPeriod;
    bool public paidWhileStopped;
    bool public paidByStranger;
    mapping(uint256 which => bool) private _stopped;

    constructor(
        OpenVPPAccount account,
        address entryPoint,
        DevStablecoin usd,
        OVPP token,
        SessionPolicy[2] memory policies
    ) {
        ACCOUNT = account;
        ENTRY_POINT = entryPoint;
        USD = usd;
        TOKEN = token;
        _policies[0] = policies[0];
        _policies[1] = policies[1];
    }

    function policy(uint256 which) public view returns (SessionPolicy memory) {
        return _policies[which];
    }

    function words(uint256 which) public view returns (bytes32[5] memory) {
        return Policies.pack(_policies[which]);
    }

    function payByEntryPoint(uint256 which, uint96 amount, uint96 fee, bool inFeeToken, bytes16 ref) external plays {
        which %= SESSIONS;
        (uint256 sum, uint256 boundedFee) = _amounts(which, amount, fee);
        vm.prank(ENTRY_POINT);
        try ACCOUNT.payBill(words(which), ref, sum, boundedFee, inFeeToken) {
            _book(which, sum, boundedFee, inFeeToken);
            success();
        } catch {}
    }

    function payByLane(uint256 which, uint96 amount, uint96 fee, bool inFeeToken, bytes16 ref, uint8 skew)
        external
        plays
    {
        which %= SESSIONS;
        (uint256 sum, uint256 boundedFee) = _amounts(which, amount, fee);
        (,,,, uint256 sequence) = ACCOUNT.session(Policies.id(words(which)));
        uint40 deadline = uint40(block.timestamp + 10);
        bytes memory signature = _sign(
            KEY,
            Policies.paymentDigest(
                words(which), ref, sum, boundedFee, inFeeToken, uint32(sequence + skew % 2), deadline, address(ACCOUNT)
            )
        );
        BillSessions.Payment memory payment = BillSessions.Payment(ref, sum, boundedFee, inFeeToken);
        try ACCOUNT.payBillSigned(words(which), payment, deadline, signature) {
            _book(which, sum, boundedFee, inFeeToken);
            success();
            // The same intent again must not pay.
            try ACCOUNT.payBillSigned(words(which), payment, deadline, signature) {
                _book(which, sum, boundedFee, inFeeToken);
                paidByStranger = true;
            } catch {}
        } catch {}
    }

    function payByStranger(uint256 which, uint96 amount, uint256 secret) external plays {
        which %= SESSIONS;
        secret = bound(secret, 1, 1e30);
        if (secret == KEY || secret == OWNER) return;
        uint40 deadline = uint40(block.timestamp + 10);
        BillSessions.Payment memory payment = BillSessions.Payment(bytes16("x"), amount, 0, false);
        bytes32 digest =
            Policies.paymentDigest(words(which), payment.ref, amount, 0, false, 0, deadline, address(ACCOUNT));
        try ACCOUNT.payBillSigned(words(which), payment, deadline, _sign(secret, digest)) {
            paidByStranger = true;
        } catch {}
        try ACCOUNT.payBill(words(which), payment.ref, amount, 0, false) {
            paidByStranger = true;
        } catch {}
        vm.prank(vm.addr(secret));
        try ACCOUNT.execute(bytes32(uint256(1) << 248), "") {
            paidByStranger = true;
        } catch {}
        success();
    }

    function freeze(uint256 which, uint8 how) external plays {
        bool frozen = how % 4 == 0;
        which %= SESSIONS;
        vm.prank(vm.addr(OWNER));
        if (frozen) ACCOUNT.freezeSessions(_one(which));
        else ACCOUNT.unfreezeSessions(_one(which));
        (uint256 flags,,,,) = ACCOUNT.session(Policies.id(words(which)));
        _stopped[which] = flags != 1;
        success();
    }

    /// @dev Rarely and late, as nothing pays afterwards.
    function revoke(uint256 which, uint256 chance) external plays {
        if (chance % 64 != 0 || played < 300) return;
        which %= SESSIONS;
        vm.prank(vm.addr(OWNER));
        ACCOUNT.revokeSessions(_one(which));
        _stopped[which] = true;
        success();
    }

    function pass(uint32 time) external plays {
        vm.warp(block.timestamp + bound(time, 1, 4 days));
        success();
    }

    function _amounts(uint256 which, uint96 amount, uint96 fee) private view returns (uint256, uint256) {
        return (
            bound(amount, 0, uint256(_policies[which].maxPerPayment) * 5 / 4),
            bound(fee, 0, uint256(_policies[which].maxFee) * 5 / 4)
        );
    }

    function _book(uint256 which, uint256 amount, uint256 fee, bool inFeeToken) private {
        if (_stopped[which]) paidWhileStopped = true;
        uint256 leaving = inFeeToken ? amount : amount + fee;
        if (inFeeToken) paidInFeeToken[which] += fee;
        if (leaving > mostInOnePayment[which]) mostInOnePayment[which] = leaving;
        uint256 period = (block.timestamp - _policies[which].startsAt) / _policies[which].periodSeconds;
        paid[which] += leaving;
        payments[which] += 1;
        paidInPeriod[which][period] += leaving;
        if (period > highestPeriod[which]) highestPeriod[which] = period;
    }

    function _one(uint256 which) private view returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = Policies.id(words(which));
    }

    function _sign(uint256 secret, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }
}

contract SpendingInvariants is World, Game {
    Spender private spender;

    function setUp() public override {
        super.setUp();
        open();
        SessionPolicy memory second = policyOf();
        second.salt = 2;
        second.maxPerPayment = 3e6;
        second.maxPerPeriod = 5e6;
        second.maxTotal = 40e6;
        second.periodSeconds = 1 days;
        bytes32[5] memory words = Policies.pack(second);
        account.installSession(words, installSignature(words));
        spender = new Spender(account, address(entryPoint), usd, ovpp, [policyOf(), second]);
        bytes4[] memory needed = new bytes4[](5);
        needed[0] = Spender.payByEntryPoint.selector;
        needed[1] = Spender.payByLane.selector;
        needed[2] = Spender.payByStranger.selector;
        needed[3] = Spender.freeze.selector;
        needed[4] = Spender.pass.selector;
        bytes4[] memory rare = new bytes4[](1);
        rare[0] = Spender.revoke.selector;
        play(spender, needed, rare);
    }

    /// @dev The rules below, checked together, as each would be played on its own otherwise.
    function invariant_spending() external view {
        spentWithinEveryLimit();
        countersAreTheBooks();
        noFundsLeaveWithoutPolicy();
        nobodyElsePaysAndNothingWhileStopped();
    }

    /// @dev Never over a limit, whatever path was taken.
    function spentWithinEveryLimit() public view {
        for (uint256 which = 0; which < spender.SESSIONS(); ++which) {
            SessionPolicy memory policy = spender.policy(which);
            isTrue(spender.paid(which) <= policy.maxTotal, "total");
            isTrue(spender.mostInOnePayment(which) <= policy.maxPerPayment, "payment");
            isTrue(spender.paidInFeeToken(which) <= spender.payments(which) * uint256(policy.maxFeeInFeeToken), "fees");
            uint256 last = spender.highestPeriod(which);
            for (uint256 period = last > 3 ? last - 3 : 0; period <= last; ++period) {
                isTrue(spender.paidInPeriod(which, period) <= policy.maxPerPeriod, "period");
            }
        }
    }

    /// @dev The counters on chain are the books.
    function countersAreTheBooks() public view {
        for (uint256 which = 0; which < spender.SESSIONS(); ++which) {
            (, uint256 total,,,) = account.session(Policies.id(spender.words(which)));
            equal(total, spender.paid(which), "total");
        }
    }

    /// @dev What left the account is what the sessions paid, and it is the payee's.
    function noFundsLeaveWithoutPolicy() public view {
        uint256 left = spender.paid(0) + spender.paid(1);
        equal(usd.balanceOf(address(account)), 10_000e6 - left, "account");
        equal(usd.balanceOf(PAYEE), left, "payee");
        uint256 fees = spender.paidInFeeToken(0) + spender.paidInFeeToken(1);
        equal(ovpp.balanceOf(address(account)), 1_000e18 - fees, "fees");
    }

    function nobodyElsePaysAndNothingWhileStopped() public view {
        isTrue(!spender.paidByStranger(), "stranger, or twice");
        isTrue(!spender.paidWhileStopped(), "while frozen or revoked");
    }
}
