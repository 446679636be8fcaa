// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
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
        equal(paymaster.budgetWei(UTILITY), 50 ether, "budget");
    }

    function _window() private view returns (uint256) {
        return ((block.timestamp - 60) << 208) | ((block.timestamp + 300) << 160);
    }

    function test_sponsorsEachModeAndReservesTheBudget() public {
        (bytes memory context, uint256 data) = _validate(sponsored(payCall(packed(), 9, 4, true), 1, 4));
        equal(data, _window(), "fee token");
        equal(keccak256(context), keccak256(abi.encode(keccak256("hash"), UTILITY, MAX_COST)), "context");
        equal(paymaster.budgetWei(UTILITY), 50 ether - MAX_COST, "reserved");
        (, data) = _validate(sponsored(payCall(packed(), 9, 4, false), 2, 4));
        equal(data, _window(), "bill token");
        (, data) = _validate(sponsored(payCall(packed(), 9, 0, false), 3, 0));
        equal(data, _window(), "absorbed");
        equal(paymaster.budgetWei(UTILITY), 50 ether - 3 * MAX_COST, "reserved thrice");
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
        paymaster.setBudget(UTILITY, MAX_COST - 1);
        PackedUserOperation memory op = sponsored(payCall(packed(), 9, 0, false), 3, 0);
        vm.expectRevert(
            abi.encodeWithSelector(OpenVPPPaymaster.BudgetExceeded.selector, UTILITY, MAX_COST, MAX_COST - 1)
        );
        _validate(op);
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
        _refuses(op, abi.encodeWithSelector(OpenVPPPaymaster.BadDataLength.selector, 155));
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
            IPaymaster.PostOpMode.opSucceeded, abi.encode(keccak256("hash"), UTILITY, reserved), cost, price
        );
    }

    function test_chargesWhatWasUsed() public {
        uint256 charged = 5e12 + paymaster.POST_OP_GAS() * 1e6;
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.BudgetCharged(keccak256("hash"), UTILITY, charged);
        _settle(1e15, 5e12, 1e6);
        equal(paymaster.budgetWei(UTILITY), 50 ether + 1e15 - charged, "budget");
    }

    function test_neverChargesMoreThanWasReserved() public {
        _settle(1e12, 5e12, 1e6);
        equal(paymaster.budgetWei(UTILITY), 50 ether, "budget");
    }

    function test_budgetCoversWhatTheDepositLost() public {
        uint256 deposit = paymaster.getDeposit();
        PackedUserOperation memory op = sponsored(payCall(packed(), 9e6, 0, false), 3, 0);
        signByKey(op, "");
        handle(op);
        uint256 lost = deposit - paymaster.getDeposit();
        uint256 charged = 50 ether - paymaster.budgetWei(UTILITY);
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
        isTrue(50 ether - paymaster.budgetWei(UTILITY) >= deposit - paymaster.getDeposit(), "charged");
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

    function test_setBudget() public {
        vm.expectEmit(address(paymaster));
        emit OpenVPPPaymaster.BudgetSet(8, 3);
        paymaster.setBudget(8, 3);
        equal(paymaster.budgetWei(8), 3, "budget");
        _refusesStranger();
        paymaster.setBudget(8, 4);
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
