// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {AccountBase} from "../../src/account/AccountBase.sol";
import {Sessions} from "../../src/account/Sessions.sol";
import {AccountControl} from "../../src/account/AccountControl.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {OpenVPPAccount} from "../../src/account/OpenVPPAccount.sol";
import {SessionPolicy} from "../../src/account/SessionPolicy.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

contract PayBillTest is World {
    function setUp() public override {
        super.setUp();
        open();
    }

    function _pay(uint256 amount, uint256 fee, bool inFeeToken) private {
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, amount, fee, inFeeToken);
    }

    function test_paysAmountAndFeeInOneTransfer() public {
        vm.expectEmit(address(account));
        emit BillSessions.BillPaid(REF, address(account), address(usd), 50e6, 3e5);
        _pay(50e6, 3e5, false);
        equal(usd.balanceOf(PAYEE), 50_300_000, "payee");
        equal(usd.balanceOf(address(account)), 10_000e6 - 50_300_000, "account");
        (uint256 flags, uint256 total, uint256 inPeriod, uint256 period, uint256 sequence) =
            account.session(Policies.id(packed()));
        equal(flags, 1, "flags");
        equal(total, 50_300_000, "total");
        equal(inPeriod, 50_300_000, "in period");
        equal(period, 0, "period");
        equal(sequence, 0, "sequence");
    }

    function test_paysFeeInFeeTokenByASecondTransfer() public {
        vm.expectEmit(address(account));
        emit BillSessions.BillPaid(REF, address(account), address(usd), 50e6, 0);
        vm.expectEmit(address(account));
        emit BillSessions.FeePaid(REF, address(account), address(ovpp), 2e18);
        _pay(50e6, 2e18, true);
        equal(usd.balanceOf(PAYEE), 50e6, "usd");
        equal(ovpp.balanceOf(PAYEE), 2e18, "ovpp");
        equal(spent(), 50e6, "only the bill's token counts");
    }

    function test_absorbedFeeMovesOnlyTheAmount() public {
        _pay(50e6, 0, false);
        equal(usd.balanceOf(PAYEE), 50e6, "usd");
        equal(ovpp.balanceOf(PAYEE), 0, "ovpp");
    }

    function test_limitsAreInclusive() public {
        _pay(99e6, 1e6, false);
        _pay(50e6, 0, false);
        equal(spent(), 150e6, "spent");
    }

    function test_refusesOthersThanEntryPointAndItself() public {
        vm.expectRevert(abi.encodeWithSelector(AccountBase.NotAuthorised.selector, address(this)));
        account.payBill(packed(), REF, 1, 0, false);
    }

    function test_refusesAbovePaymentLimit() public {
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePaymentLimit.selector, 100e6 + 1, 100e6));
        _pay(100e6, 1, false);
        equal(spent(), 0, "spent");
    }

    function test_refusesAbovePeriodLimit() public {
        _pay(100e6, 0, false);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePeriodLimit.selector, 150e6 + 1, 150e6));
        _pay(50e6 + 1, 0, false);
        equal(spent(), 100e6, "spent");
    }

    function test_refusesAboveTotalLimit() public {
        _pay(100e6, 0, false);
        vm.warp(START + MONTH);
        _pay(100e6, 0, false);
        vm.warp(START + 2 * MONTH);
        _pay(100e6, 0, false);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AboveTotalLimit.selector, 300e6 + 1, 300e6));
        _pay(1, 0, false);
        equal(spent(), 300e6, "spent");
    }

    function test_periodEdges() public {
        _pay(100e6, 0, false);
        vm.warp(START + MONTH - 1);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePeriodLimit.selector, 200e6, 150e6));
        _pay(100e6, 0, false);
        vm.warp(START + MONTH);
        _pay(100e6, 0, false);
        (,, uint256 inPeriod, uint256 period,) = account.session(Policies.id(packed()));
        equal(inPeriod, 100e6, "a new period starts at its first second");
        equal(period, 1, "period");
    }

    function test_lifeEdges() public {
        vm.warp(START - 1);
        vm.expectRevert(abi.encodeWithSelector(Sessions.OutsideSession.selector, START - 1, START, START + 365 days));
        _pay(1, 0, false);
        vm.warp(START);
        _pay(1, 0, false);
        vm.warp(START + 365 days - 1);
        _pay(1, 0, false);
        vm.warp(START + 365 days);
        vm.expectRevert(
            abi.encodeWithSelector(Sessions.OutsideSession.selector, START + 365 days, START, START + 365 days)
        );
        _pay(1, 0, false);
    }

    function test_refusesAboveFeeLimit() public {
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AboveFeeLimit.selector, 1e6 + 1, 1e6));
        _pay(1, 1e6 + 1, false);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AboveFeeLimit.selector, 10e18 + 1, 10e18));
        _pay(1, 10e18 + 1, true);
    }

    function test_refusesFeeThatOverflows() public {
        vm.expectRevert();
        _pay(1, type(uint256).max, false);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePaymentLimit.selector, type(uint256).max, 100e6));
        _pay(type(uint256).max, 0, false);
    }

    function test_refusesFeeTokenThatThePolicyDoesNotName() public {
        SessionPolicy memory policy = policyOf();
        policy.feeToken = address(0);
        bytes32[5] memory words = Policies.pack(policy);
        account.installSession(words, installSignature(words));
        vm.expectRevert(BillSessions.NoFeeToken.selector);
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 1, 0, true);
    }

    function test_refusesNothingToPay() public {
        vm.expectRevert(BillSessions.NothingToPay.selector);
        _pay(0, 1, false);
    }

    function test_refusesSessionNotInstalled() public {
        SessionPolicy memory policy = policyOf();
        policy.maxPerPayment += 1;
        bytes32[5] memory words = Policies.pack(policy);
        vm.expectRevert(abi.encodeWithSelector(Sessions.SessionNotLive.selector, Policies.id(words), 0));
        vm.prank(address(entryPoint));
        account.payBill(words, REF, 1, 0, false);
    }

    function test_refusesWhenTheTokenRefuses() public {
        vm.prank(address(account));
        usd.transfer(address(1), 10_000e6 - 5);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, address(account), 5, 6));
        _pay(6, 0, false);
        equal(spent(), 0, "spent");
    }
}
