// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Budgets} from "../../src/paymaster/Budgets.sol";
import {DepositOwner} from "../../src/paymaster/DepositOwner.sol";
import {Checks} from "../support/Checks.sol";

contract BudgetBook is Budgets {
    constructor() DepositOwner(IEntryPoint(address(1)), msg.sender) {}

    function reserve(uint64 utilityId, uint64 programId, uint256 costWei, uint256 day) external {
        _reserve(utilityId, programId, costWei, day);
    }

    function giveBack(uint64 utilityId, uint64 programId, uint256 unusedWei, uint256 day) external {
        _giveBack(utilityId, programId, unusedWei, day);
    }
}

contract BudgetsTest is Checks {
    uint64 private constant UTILITY = 7;
    uint64 private constant PROGRAM = 3;
    uint256 private constant DAY = 20_000;
    address private constant MANAGER = address(0x3A4A);
    address private constant STRANGER = address(0xE7E);

    BudgetBook private book;

    function setUp() public {
        book = new BudgetBook();
        book.setBudget(UTILITY, 0, 100);
        book.setBudget(UTILITY, PROGRAM, 50);
        book.setManager(UTILITY, MANAGER);
    }

    function _is(uint64 programId, uint256 wantedLeft, uint256 wantedSpent, uint256 wantedDay) private view {
        (uint256 left, uint256 spent, uint256 day,,) = book.budgetOf(UTILITY, programId);
        equal(left, wantedLeft, "left");
        equal(spent, wantedSpent, "spent");
        equal(day, wantedDay, "day");
    }

    function test_setBudgetOfAUtilityIsTheOwners() public {
        vm.expectEmit(address(book));
        emit Budgets.BudgetSet(UTILITY, 0, 9);
        book.setBudget(UTILITY, 0, 9);
        _is(0, 9, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MANAGER));
        vm.prank(MANAGER);
        book.setBudget(UTILITY, 0, 10);
    }

    function test_setBudgetOfAProgramIsTheManagersOrTheOwners() public {
        vm.prank(MANAGER);
        book.setBudget(UTILITY, PROGRAM, 9);
        _is(PROGRAM, 9, 0, 0);
        book.setBudget(UTILITY, PROGRAM, 10);
        _is(PROGRAM, 10, 0, 0);
        vm.prank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(Budgets.NotManager.selector, STRANGER));
        book.setBudget(UTILITY, PROGRAM, 11);
        vm.prank(MANAGER);
        vm.expectRevert(abi.encodeWithSelector(Budgets.NotManager.selector, MANAGER));
        book.setBudget(8, PROGRAM, 11);
    }

    function test_setLimits() public {
        vm.expectEmit(address(book));
        emit Budgets.LimitsSet(UTILITY, PROGRAM, 5, 6);
        vm.prank(MANAGER);
        book.setLimits(UTILITY, PROGRAM, 5, 6);
        (,,, uint256 perOperation, uint256 perDay) = book.budgetOf(UTILITY, PROGRAM);
        equal(perOperation, 5, "per operation");
        equal(perDay, 6, "per day");
        vm.prank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(Budgets.NotManager.selector, STRANGER));
        book.setLimits(UTILITY, PROGRAM, 0, 0);
    }

    function test_setManager() public {
        vm.expectEmit(address(book));
        emit Budgets.ManagerSet(UTILITY, STRANGER);
        book.setManager(UTILITY, STRANGER);
        equal(book.managerOf(UTILITY), STRANGER, "manager");
        vm.prank(MANAGER);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MANAGER));
        book.setManager(UTILITY, MANAGER);
    }

    function test_reserveTakesFromBothOrFromNeither() public {
        book.reserve(UTILITY, PROGRAM, 50, DAY);
        _is(0, 50, 50, DAY);
        _is(PROGRAM, 0, 50, DAY);
        vm.expectRevert(abi.encodeWithSelector(Budgets.BudgetExceeded.selector, UTILITY, PROGRAM, 1, 0));
        book.reserve(UTILITY, PROGRAM, 1, DAY);
        vm.expectRevert(abi.encodeWithSelector(Budgets.BudgetExceeded.selector, UTILITY, 0, 51, 50));
        book.reserve(UTILITY, PROGRAM, 51, DAY);
        _is(0, 50, 50, DAY);
        book.reserve(UTILITY, 0, 50, DAY);
        _is(0, 0, 100, DAY);
    }

    function test_operationLimitIsInclusive() public {
        book.setLimits(UTILITY, 0, 10, 0);
        book.reserve(UTILITY, 0, 10, 0);
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveOperationLimit.selector, UTILITY, 0, 11, 10));
        book.reserve(UTILITY, 0, 11, 0);
        book.setLimits(UTILITY, PROGRAM, 9, 0);
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveOperationLimit.selector, UTILITY, PROGRAM, 10, 9));
        book.reserve(UTILITY, PROGRAM, 10, 0);
        _is(0, 90, 0, 0);
    }

    function test_dayLimitIsInclusiveAndBeginsAnew() public {
        book.setLimits(UTILITY, 0, 0, 10);
        book.reserve(UTILITY, 0, 10, DAY);
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveDayLimit.selector, UTILITY, 0, 11, 10));
        book.reserve(UTILITY, 0, 1, DAY);
        book.reserve(UTILITY, 0, 4, DAY + 1);
        _is(0, 86, 4, DAY + 1);
    }

    function test_noDayBeginsTwice() public {
        book.setLimits(UTILITY, 0, 0, 10);
        book.reserve(UTILITY, 0, 6, DAY + 1);
        book.reserve(UTILITY, 0, 4, DAY);
        _is(0, 90, 10, DAY + 1);
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveDayLimit.selector, UTILITY, 0, 11, 10));
        book.reserve(UTILITY, 0, 1, DAY + 1);
    }

    function test_dayMustBeClearOnceItIsLimited() public {
        book.reserve(UTILITY, 0, 1, 0);
        book.setLimits(UTILITY, 0, 0, 10);
        vm.expectRevert(Budgets.DayUnclear.selector);
        book.reserve(UTILITY, 0, 1, 0);
        _is(0, 99, 0, 0);
    }

    function test_limitCountsWhatTheDaySpentBeforeIt() public {
        book.reserve(UTILITY, 0, 8, DAY);
        book.setLimits(UTILITY, 0, 0, 10);
        vm.expectRevert(abi.encodeWithSelector(Budgets.AboveDayLimit.selector, UTILITY, 0, 11, 10));
        book.reserve(UTILITY, 0, 3, DAY);
    }

    function test_giveBackUndoesOnBothAndOnTheDay() public {
        book.reserve(UTILITY, PROGRAM, 20, DAY);
        book.giveBack(UTILITY, PROGRAM, 15, DAY);
        _is(0, 95, 5, DAY);
        _is(PROGRAM, 45, 5, DAY);
    }

    function test_giveBackLeavesALaterDayAsItIs() public {
        book.reserve(UTILITY, 0, 20, DAY);
        book.reserve(UTILITY, 0, 5, DAY + 1);
        book.giveBack(UTILITY, 0, 15, DAY);
        _is(0, 90, 5, DAY + 1);
    }

    /// @dev Whatever was set in between, an operation is settled.
    function test_giveBackNeverReverts() public {
        book.reserve(UTILITY, 0, 20, DAY);
        book.setBudget(UTILITY, 0, type(uint104).max);
        book.giveBack(UTILITY, 0, 15, DAY);
        _is(0, type(uint104).max, 5, DAY);
        book.giveBack(UTILITY, 0, 15, DAY);
        _is(0, type(uint104).max, 0, DAY);
    }

    /// @dev However operations come, are settled and days pass: what a day counted is within its limit.
    function testFuzz_daysKeepTheirLimit(uint256 seed, uint64 limit) public {
        limit = uint64(bound(limit, 1, 1_000));
        book.setBudget(UTILITY, 0, 1e9);
        book.setLimits(UTILITY, 0, 0, limit);
        uint256 day = DAY;
        uint256[4] memory spentOn;
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 cost = seed % 400;
            if ((seed >> 32) % 6 == 0 && day < DAY + 3) ++day;
            try book.reserve(UTILITY, 0, cost, day) {
                uint256 unused = (seed >> 64) % (cost + 1);
                book.giveBack(UTILITY, 0, unused, day);
                spentOn[day - DAY] += cost - unused;
            } catch {}
            isTrue(spentOn[day - DAY] <= limit, "within the limit");
        }
        (uint256 left,,,,) = book.budgetOf(UTILITY, 0);
        equal(left, 1e9 - spentOn[0] - spentOn[1] - spentOn[2] - spentOn[3], "books");
    }
}
