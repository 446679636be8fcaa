// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPaymaster} from "@account-abstraction/contracts/interfaces/IPaymaster.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Budgets} from "../../src/paymaster/Budgets.sol";
import {DepositOwner} from "../../src/paymaster/DepositOwner.sol";
import {RelayPaymaster} from "../../src/paymaster/RelayPaymaster.sol";
import {World} from "../support/World.sol";

contract RelayPaymasterTest is World {
    RelayPaymaster private relay;
    address private constant RELAYER = address(0x4E1A);

    function setUp() public override {
        super.setUp();
        relay = new RelayPaymaster(entryPoint, address(this));
        relay.setAllowance(RELAYER, 2 gwei, 1e15);
        relay.setBudget(UTILITY, 0, 5e15);
    }

    function _op(uint256 price, bytes memory data) private view returns (PackedUserOperation memory op) {
        op.gasFees = bytes32((price << 128) | price);
        op.paymasterAndData = abi.encodePacked(address(relay), uint128(1), uint128(2), data);
    }

    function _validate(PackedUserOperation memory op, uint256 maxCost, address origin)
        private
        returns (bytes memory context, uint256 validationData)
    {
        vm.prank(address(entryPoint), origin);
        return relay.validatePaymasterUserOp(op, 0, maxCost);
    }

    function _refuses(PackedUserOperation memory op, uint256 maxCost, address origin, bytes memory why) private {
        vm.expectRevert(why);
        _validate(op, maxCost, origin);
    }

    function test_trustsARelayerWithinItsAllowance() public {
        (bytes memory context, uint256 data) = _validate(_op(2 gwei, ""), 1e15, RELAYER);
        equal(context.length, 0, "no postOp");
        equal(data, 0, "genuine");
        equal(_left(0), 5e15, "no budget");
    }

    function test_refusesOthersPricesAndCosts() public {
        _refuses(
            _op(1, ""),
            1,
            address(this),
            abi.encodeWithSelector(RelayPaymaster.PriceNotAllowed.selector, address(this), 1, 0)
        );
        _refuses(
            _op(0, ""),
            0,
            address(this),
            abi.encodeWithSelector(RelayPaymaster.PriceNotAllowed.selector, address(this), 0, 0)
        );
        _refuses(
            _op(2 gwei + 1, ""),
            1,
            RELAYER,
            abi.encodeWithSelector(RelayPaymaster.PriceNotAllowed.selector, RELAYER, 2 gwei + 1, 2 gwei)
        );
        _refuses(
            _op(1, ""),
            1e15 + 1,
            RELAYER,
            abi.encodeWithSelector(RelayPaymaster.CostNotAllowed.selector, 1e15 + 1, 1e15)
        );
        _refuses(_op(1, hex"00"), 1, RELAYER, abi.encodeWithSelector(RelayPaymaster.BadDataLength.selector, 53));
    }

    function test_reservesAndSettlesABudget() public {
        (bytes memory context,) = _validate(_op(1 gwei, abi.encodePacked(UTILITY, uint64(0))), 1e15, RELAYER);
        equal(_left(0), 4e15, "reserved");
        vm.prank(address(entryPoint));
        relay.postOp(IPaymaster.PostOpMode.opSucceeded, context, 3e14, 1 gwei);
        equal(_left(0), 5e15 - 3e14 - relay.POST_OP_GAS() * 1 gwei, "settled");
    }

    function test_neverChargesMoreThanWasReserved() public {
        (bytes memory context,) = _validate(_op(1 gwei, abi.encodePacked(UTILITY, uint64(0))), 1e15, RELAYER);
        vm.prank(address(entryPoint));
        relay.postOp(IPaymaster.PostOpMode.opReverted, context, 2e15, 1 gwei);
        equal(_left(0), 4e15, "settled");
    }

    function test_refusesBeyondTheBudget() public {
        relay.setBudget(UTILITY, 0, 9);
        _refuses(
            _op(1, abi.encodePacked(UTILITY, uint64(0))),
            10,
            RELAYER,
            abi.encodeWithSelector(Budgets.BudgetExceeded.selector, UTILITY, 0, 10, 9)
        );
    }

    function test_setAllowanceIsTheOwners() public {
        vm.expectEmit(address(relay));
        emit RelayPaymaster.AllowanceSet(RELAYER, 0, 0);
        relay.setAllowance(RELAYER, 0, 0);
        _refuses(_op(0, ""), 0, RELAYER, abi.encodeWithSelector(RelayPaymaster.PriceNotAllowed.selector, RELAYER, 0, 0));
        vm.startPrank(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, RELAYER));
        relay.setAllowance(RELAYER, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, RELAYER));
        relay.setBudget(UTILITY, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(DepositOwner.NotEntryPoint.selector, RELAYER));
        relay.validatePaymasterUserOp(_op(1, ""), 0, 0);
        vm.expectRevert(abi.encodeWithSelector(DepositOwner.NotEntryPoint.selector, RELAYER));
        relay.postOp(IPaymaster.PostOpMode.opSucceeded, "", 0, 0);
        vm.stopPrank();
    }

    function test_chargesTheProgramToo() public {
        relay.setBudget(UTILITY, 3, 2e15);
        (bytes memory context,) = _validate(_op(1 gwei, abi.encodePacked(UTILITY, uint64(3))), 1e15, RELAYER);
        equal(_left(0), 4e15, "the utility's, reserved");
        equal(_left(3), 1e15, "the program's, reserved");
        vm.prank(address(entryPoint));
        relay.postOp(IPaymaster.PostOpMode.opSucceeded, context, 3e14, 1 gwei);
        equal(_left(0), 5e15 - 3e14 - relay.POST_OP_GAS() * 1 gwei, "the utility's, settled");
        equal(_left(3), 2e15 - 3e14 - relay.POST_OP_GAS() * 1 gwei, "the program's, settled");
    }

    function test_countsOnTheDayOfTheBlock() public {
        relay.setLimits(UTILITY, 0, 0, 15e14);
        bytes memory data = abi.encodePacked(UTILITY, uint64(0));
        _validate(_op(1 gwei, data), 1e15, RELAYER);
        _refuses(
            _op(1 gwei, data),
            1e15,
            RELAYER,
            abi.encodeWithSelector(Budgets.AboveDayLimit.selector, UTILITY, 0, 2e15, 15e14)
        );
        vm.warp(START + 1 days);
        _validate(_op(1 gwei, data), 1e15, RELAYER);
        (, uint256 spentWei, uint256 day,,) = relay.budgetOf(UTILITY, 0);
        equal(spentWei, 1e15, "a new day");
        equal(day, START / 1 days + 1, "today");
    }

    function _left(uint64 programId) private view returns (uint256 leftWei) {
        (leftWei,,,,) = relay.budgetOf(UTILITY, programId);
    }
}
