// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Budgets} from "../../src/paymaster/Budgets.sol";
import {DepositOwner} from "../../src/paymaster/DepositOwner.sol";
import {OpenVPPPaymaster} from "../../src/paymaster/OpenVPPPaymaster.sol";
import {World} from "../support/World.sol";

contract ValidatePaymasterUserOpTest is World {
    uint256 private constant MAX_COST = 1e15;

    function setUp() public override {
        super.setUp();
        open();
    }

    function _validate(PackedUserOperation memory op) private returns (bytes memory context, uint256 validationData) {
        vm.prank(address(entryPoint));
        return paymaster.validatePaymasterUserOp(op, keccak256("hash"), MAX_COST);
    }

    function _refuses(PackedUserOperation memory op, bytes memory why) private {
        vm.expectRevert(why);
        _validate(op);
        equal(left(UTILITY, 0), 50 ether, "budget");
    }

    function _charged(uint64 programId) private view returns (uint256) {
        return (uint256(UTILITY) << 192) | (uint256(programId) << 128) | (block.timestamp / 1 days);
    }

    function _window() private view returns (uint256) {
        return ((block.timestamp - 60) << 208) | ((block.timestamp + 300) << 160);
    }

    function test_sponsorsEachModeAndReservesTheBudget() public {
        (bytes memory context, uint256 data) = _validate(sponsored(payCall(packed(), 9, 4, true), 1, 4));
        equal(data, _window(), "fee token");
        equal(keccak256(context), keccak256(abi.encode(keccak256("hash"), MAX_COST, _charged(0))), "context");
        equal(left(UTILITY, 0), 50 ether - MAX_COST, "reserved");
        (, data) = _validate(sponsored(payCall(packed(), 9, 4, false), 2, 4));
        equal(data, _window(), "bill token");
        (, data) = _validate(sponsored(payCall(packed(), 9, 0, false), 3, 0));
        equal(data, _window(), "absorbed");
        equal(left(UTILITY, 0), 50 ether - 3 * MAX_COST, "reserved thrice");
    }

    function test_sponsorsOtherCallsWithoutFee() public {
        _refuses(
            sponsored(hex"12345678", 2, 1), abi.encodeWithSelector(OpenVPPPaymaster.FeeDiffersFromQuote.selector, 0, 1)
        );
        (, uint256 data) = _validate(sponsored(hex"12345678", 3, 0));
        equal(data, _window(), "other call");
    }

    function test_answersFailedSignature() public {
        PackedUserOperation memory op = operation(payCall(packed(), 9, 0, false));
        sponsor(op, sponsorFields(3, 0), STRANGER);
        (, uint256 data) = _validate(op);
        equal(data, _window() | 1, "stranger");
        op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        op.callData = payCall(packed(), 10, 0, false);
        (, data) = _validate(op);
        equal(data, _window() | 1, "another call");
        op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        op.nonce += 1;
        (, data) = _validate(op);
        equal(data, _window() | 1, "another nonce");
        op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        op.gasFees = bytes32(uint256(op.gasFees) + 1);
        (, data) = _validate(op);
        equal(data, _window() | 1, "another price");
        op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        op.paymasterAndData[25] = 0x01;
        (, data) = _validate(op);
        equal(data, _window() | 1, "another gas limit");
    }

    function test_refusesFeeOtherThanQuoted() public {
        _refuses(
            sponsored(payCall(packed(), 9, 5, false), 2, 4),
            abi.encodeWithSelector(OpenVPPPaymaster.FeeDiffersFromQuote.selector, 5, 4)
        );
        _refuses(
            sponsored(payCall(packed(), 9, 4, true), 2, 4),
            abi.encodeWithSelector(OpenVPPPaymaster.FeeDiffersFromQuote.selector, 4, 4)
        );
        _refuses(
            sponsored(payCall(packed(), 9, 4, false), 1, 4),
            abi.encodeWithSelector(OpenVPPPaymaster.FeeDiffersFromQuote.selector, 4, 4)
        );
        _refuses(
            sponsored(payCall(packed(), 9, 4, false), 3, 4),
            abi.encodeWithSelector(OpenVPPPaymaster.FeeDiffersFromQuote.selector, 4, 4)
        );
    }

    /// @dev The account would read a longer call just the same, and pay a fee that was not looked at.
    function test_refusesBillPaymentsOfAnotherLength() public {
        _refuses(
            sponsored(abi.encodePacked(payCall(packed(), 9, 4, false), uint8(0)), 3, 0),
            abi.encodeWithSelector(OpenVPPPaymaster.BadDataLength.selector, 4 + 9 * 32 + 1)
        );
        _refuses(
            sponsored(abi.encodePacked(bytes4(payCall(packed(), 9, 4, false))), 3, 0),
            abi.encodeWithSelector(OpenVPPPaymaster.BadDataLength.selector, 4)
        );
    }

    function test_refusesUnknownModes() public {
        _refuses(
            sponsored(payCall(packed(), 9, 0, false), 0, 0),
            abi.encodeWithSelector(OpenVPPPaymaster.UnknownMode.selector, 0)
        );
        _refuses(
            sponsored(payCall(packed(), 9, 0, false), 99, 0),
            abi.encodeWithSelector(OpenVPPPaymaster.UnknownMode.selector, 99)
        );
    }

    function test_refusesBeyondTheBudget() public {
        paymaster.setBudget(UTILITY, 0, uint104(MAX_COST - 1));
        PackedUserOperation memory op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        vm.expectRevert(abi.encodeWithSelector(Budgets.BudgetExceeded.selector, UTILITY, 0, MAX_COST, MAX_COST - 1));
        _validate(op);
    }

    function _named(uint64 programId) private view returns (PackedUserOperation memory op) {
        op = operation(payCall(packed(), 9, 0, false));
        sponsor(op, sponsorFields(3, 0, programId), SPONSOR);
    }

    function test_chargesTheProgramToo() public {
        paymaster.setBudget(UTILITY, 3, uint104(2 * MAX_COST));
        (bytes memory context,) = _validate(_named(3));
        equal(keccak256(context), keccak256(abi.encode(keccak256("hash"), MAX_COST, _charged(3))), "context");
        equal(left(UTILITY, 0), 50 ether - MAX_COST, "the utility's, reserved");
        equal(left(UTILITY, 3), MAX_COST, "the program's, reserved");
        uint256 charged = 5e12 + paymaster.POST_OP_GAS() * 1e6;
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.BudgetCharged(keccak256("hash"), UTILITY, 3, charged);
        vm.prank(address(entryPoint));
        paymaster.postOp(IPaymaster.PostOpMode.opSucceeded, context, 5e12, 1e6);
        equal(left(UTILITY, 0), 50 ether - charged, "the utility's, settled");
        equal(left(UTILITY, 3), 2 * MAX_COST - charged, "the program's, settled");
    }

    function test_refusesProgramsWithoutABudget() public {
        _refuses(_named(4), abi.encodeWithSelector(Budgets.BudgetExceeded.selector, UTILITY, 4, MAX_COST, 0));
    }

    /// @dev Sponsored until after midnight, an operation counts on the day to come.
    function test_countsOnTheDayTheSponsorshipEnds() public {
        paymaster.setLimits(UTILITY, 0, 0, uint128(MAX_COST));
        uint256 midnight = START + 1 days;
        vm.warp(midnight - 301);
        _validate(_named(0));
        _refusesToday(_named(0), midnight / 1 days - 1);
        vm.warp(midnight - 300);
        _validate(_named(0));
        _refusesToday(_named(0), midnight / 1 days);
        vm.warp(midnight + 1);
        _refusesToday(_named(0), midnight / 1 days);
    }

    function _refusesToday(PackedUserOperation memory op, uint256 day) private {
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveDayLimit.selector, UTILITY, 0, 2 * MAX_COST, MAX_COST));
        _validate(op);
        (, uint256 spentWei, uint256 counted,,) = paymaster.budgetOf(UTILITY, 0);
        equal(counted, day, "day");
        equal(spentWei, MAX_COST, "spent");
    }

    function test_refusesSponsorshipsWithoutAClearDayOnceADayIsLimited() public {
        uint256 midnight = START;
        vm.warp(midnight + 4 hours);
        uint48[2][4] memory windows = [
            [uint48(midnight - 1 hours), uint48(midnight)],
            [uint48(midnight - 1 hours - 1), uint48(midnight)],
            [uint48(0), uint48(block.timestamp)],
            [uint48(block.timestamp), uint48(0)]
        ];
        for (uint256 i = 0; i < 4; ++i) {
            PackedUserOperation memory op = operation(payCall(packed(), 9, 0, false));
            bytes memory budget = abi.encodePacked(uint8(3), UTILITY, uint64(0));
            bytes memory window = abi.encodePacked(windows[i][0], windows[i][1]);
            bytes memory gas = abi.encodePacked(address(paymaster), uint128(100_000), uint128(30_000));
            sponsor(op, abi.encodePacked(gas, budget, window, uint128(0)), SPONSOR);
            paymaster.setLimits(UTILITY, 0, 0, 0);
            _validate(op);
            paymaster.setLimits(UTILITY, 0, 0, 1 ether);
            if (i != 0) vm.expectRevert(Budgets.DayUnclear.selector);
            _validate(op);
        }
    }

    function test_refusesWhenPaused() public {
        paymaster.setPaused(true);
        _refuses(
            sponsored(payCall(packed(), 9, 0, false), 3, 0),
            abi.encodeWithSelector(OpenVPPPaymaster.SponsoringPaused.selector)
        );
    }

    function test_refusesDataOfAnotherLength() public {
        PackedUserOperation memory op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        op.paymasterAndData = abi.encodePacked(op.paymasterAndData, uint8(0));
        _refuses(op, abi.encodeWithSelector(OpenVPPPaymaster.BadDataLength.selector, 163));
    }

    function test_refusesOthersThanTheEntryPoint() public {
        PackedUserOperation memory op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        vm.expectRevert(abi.encodeWithSelector(DepositOwner.NotEntryPoint.selector, address(this)));
        paymaster.validatePaymasterUserOp(op, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(DepositOwner.NotEntryPoint.selector, address(this)));
        paymaster.postOp(IPaymaster.PostOpMode.opSucceeded, "", 0, 0);
    }
}

contract PostOpTest is World {
    function setUp() public override {
        super.setUp();
        open();
    }

    function _settle(uint256 reserved, uint256 cost, uint256 price) private {
        vm.prank(address(entryPoint));
        paymaster.postOp(
            IPaymaster.PostOpMode.opSucceeded,
            abi.encode(keccak256("hash"), reserved, uint256(UTILITY) << 192),
            cost,
            price
        );
    }

    function test_chargesWhatWasUsed() public {
        uint256 charged = 5e12 + paymaster.POST_OP_GAS() * 1e6;
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.BudgetCharged(keccak256("hash"), UTILITY, 0, charged);
        _settle(1e15, 5e12, 1e6);
        equal(left(UTILITY, 0), 50 ether + 1e15 - charged, "budget");
    }

    function test_neverChargesMoreThanWasReserved() public {
        _settle(1e12, 5e12, 1e6);
        equal(left(UTILITY, 0), 50 ether, "budget");
    }

    function test_budgetCoversWhatTheDepositLost() public {
        uint256 deposit = paymaster.getDeposit();
        PackedUserOperation memory op = sponsored(payCall(packed(), 9e6, 0, false), 3, 0);
        signByKey(op, "");
        handle(op);
        uint256 lost = deposit - paymaster.getDeposit();
        uint256 charged = 50 ether - left(UTILITY, 0);
        isTrue(charged >= lost, "never less than was lost");
        isTrue(charged - lost < 6_000 * 2 gwei, "nor much more");
        equal(usd.balanceOf(PAYEE), 9e6, "paid");
    }

    function test_chargesOperationsWhoseCallReverts() public {
        uint256 deposit = paymaster.getDeposit();
        PackedUserOperation memory op = sponsored(payCall(packed(), 900e6, 0, false), 3, 0);
        signByKey(op, "");
        handle(op);
        equal(usd.balanceOf(PAYEE), 0, "not paid");
        isTrue(50 ether - left(UTILITY, 0) >= deposit - paymaster.getDeposit(), "charged");
    }
}

contract PaymasterOwnerTest is World {
    function _refusesStranger() private {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, vm.addr(STRANGER)));
        vm.prank(vm.addr(STRANGER));
    }

    function test_setSponsor() public {
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.SponsorSet(vm.addr(SPONSOR), false);
        paymaster.setSponsor(vm.addr(SPONSOR), false);
        isTrue(!paymaster.isSponsor(vm.addr(SPONSOR)), "no sponsor");
        _refusesStranger();
        paymaster.setSponsor(vm.addr(STRANGER), true);
    }

    function test_setPaused() public {
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.PausedSet(true);
        paymaster.setPaused(true);
        isTrue(paymaster.paused(), "paused");
        _refusesStranger();
        paymaster.setPaused(false);
    }

    function test_withdrawTo() public {
        paymaster.withdrawTo(BENEFICIARY, 100 ether);
        equal(BENEFICIARY.balance, 100 ether, "withdrawn");
        equal(paymaster.getDeposit(), 0, "deposit");
        _refusesStranger();
        paymaster.withdrawTo(BENEFICIARY, 1);
    }

    function test_stakeGoesInAndOut() public {
        paymaster.addStake{value: 1 ether}(1 days);
        equal(entryPoint.getDepositInfo(address(paymaster)).stake, 2 ether, "stake");
        paymaster.unlockStake();
        vm.warp(block.timestamp + 1 days);
        paymaster.withdrawStake(BENEFICIARY);
        equal(BENEFICIARY.balance, 2 ether, "withdrawn");
    }

    function test_stakeIsTheOwners() public {
        vm.deal(vm.addr(STRANGER), 1);
        _refusesStranger();
        paymaster.addStake{value: 1}(1 days);
        _refusesStranger();
        paymaster.unlockStake();
        _refusesStranger();
        paymaster.withdrawStake(BENEFICIARY);
    }

    function test_withdrawToken() public {
        usd.mint(address(paymaster), 5);
        paymaster.withdrawToken(usd, BENEFICIARY, 5);
        equal(usd.balanceOf(BENEFICIARY), 5, "withdrawn");
        _refusesStranger();
        paymaster.withdrawToken(usd, BENEFICIARY, 0);
    }

    function test_ownershipMovesInTwoSteps() public {
        paymaster.transferOwnership(vm.addr(STRANGER));
        equal(paymaster.owner(), address(this), "not yet");
        vm.prank(vm.addr(STRANGER));
        paymaster.acceptOwnership();
        equal(paymaster.owner(), vm.addr(STRANGER), "accepted");
    }
}
