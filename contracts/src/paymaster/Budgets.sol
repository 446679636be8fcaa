// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DepositOwner} from "./DepositOwner.sol";

/// @title What each utility, and each of its programs, may spend on gas
/// @notice A utility has a budget, and each of its programs may have one of its own within it; both may be limited per
/// operation and per UTC day. What an operation may cost is taken when it is validated, and what it did not use is given
/// back after it was executed. The owner, whose deposit it is, sets a utility's budget and who manages it; limits and
/// the programs' budgets are set by that manager, or by the owner.
/// @dev Program 0 stands for the utility as a whole. Only this contract's own storage is read.
abstract contract Budgets is DepositOwner {
    /// @dev Zero for no limit; one slot, read only for what is limited.
    struct Limits {
        uint128 maxPerOperationWei;
        uint128 maxPerDayWei;
    }

    uint256 private constant SPENT = 104;
    uint256 private constant DAY = 208;
    uint256 private constant LIMITED = 248;

    /// @notice Who sets a utility's limits and its programs' budgets, beside the owner.
    mapping(uint64 utilityId => address) public managerOf;

    /// @dev A word each, packed by hand as it is written twice an operation: what is left (104 bits, lowest), what was
    /// spent on the day (104), the day (40), whether there are limits (8).
    mapping(uint64 utilityId => mapping(uint64 programId => uint256)) private _spendingOf;
    mapping(uint64 utilityId => mapping(uint64 programId => Limits)) private _limitsOf;

    /// @notice A budget was set.
    /// @param utilityId Whose.
    /// @param programId For which of its programs; zero for the utility as a whole.
    /// @param budgetWei What is left of it from now on, in wei.
    event BudgetSet(uint64 indexed utilityId, uint64 indexed programId, uint256 budgetWei);

    /// @notice A budget was limited.
    /// @param utilityId Whose.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @param maxPerOperationWei Most that one operation may cost, in wei, inclusive; zero for no limit.
    /// @param maxPerDayWei Most that the operations of a UTC day may cost, in wei, inclusive; zero for no limit.
    event LimitsSet(
        uint64 indexed utilityId, uint64 indexed programId, uint256 maxPerOperationWei, uint256 maxPerDayWei
    );

    /// @notice A utility's limits and its programs' budgets are another's to set.
    /// @param utilityId Whose.
    /// @param manager Who sets them from now on; zero for nobody but the owner.
    event ManagerSet(uint64 indexed utilityId, address indexed manager);

    /// @notice The budget does not cover the operation.
    /// @param utilityId Whose budget.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @param costWei Most that the operation may cost, in wei.
    /// @param leftWei What is left of the budget, in wei.
    error BudgetExceeded(uint64 utilityId, uint64 programId, uint256 costWei, uint256 leftWei);

    /// @notice The operation may cost more than any one may.
    /// @param utilityId Whose limit.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @param costWei Most that the operation may cost, in wei.
    /// @param limitWei The limit, in wei.
    error AboveOperationLimit(uint64 utilityId, uint64 programId, uint256 costWei, uint256 limitWei);

    /// @notice With the operation the day would cost more than it may.
    /// @param utilityId Whose limit.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @param spentWei Spent on that UTC day, with what the operation may cost, in wei.
    /// @param limitWei The limit, in wei.
    error AboveDayLimit(uint64 utilityId, uint64 programId, uint256 spentWei, uint256 limitWei);

    /// @notice The budget is limited per day, and it is not clear on which day the operation falls.
    error DayUnclear();

    /// @notice Only the utility's manager or the owner may call this.
    /// @param caller Who called.
    error NotManager(address caller);

    /// @notice What may be spent.
    /// @param utilityId Whose budget.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @return leftWei What is left, in wei.
    /// @return spentOnDayWei Spent on `day`, what is reserved included, in wei; operations without a clear day left out.
    /// @return day UTC day last counted: whole days since 1970-01-01.
    /// @return maxPerOperationWei Most that one operation may cost, in wei; zero for no limit.
    /// @return maxPerDayWei Most that the operations of a day may cost, in wei; zero for no limit.
    function budgetOf(uint64 utilityId, uint64 programId)
        external
        view
        returns (uint256 leftWei, uint256 spentOnDayWei, uint256 day, uint256 maxPerOperationWei, uint256 maxPerDayWei)
    {
        uint256 spending = _spendingOf[utilityId][programId];
        Limits memory limits = _limitsOf[utilityId][programId];
        return (
            uint104(spending),
            uint104(spending >> SPENT),
            uint40(spending >> DAY),
            limits.maxPerOperationWei,
            limits.maxPerDayWei
        );
    }

    /// @notice Names who sets a utility's limits and its programs' budgets.
    /// @param utilityId Whose.
    /// @param manager Who sets them from now on; zero for nobody but the owner.
    function setManager(uint64 utilityId, address manager) external onlyOwner {
        managerOf[utilityId] = manager;
        emit ManagerSet(utilityId, manager);
    }

    /// @notice Sets what is left of a budget. The utility's own is the owner's to set.
    /// @param utilityId Whose.
    /// @param programId For which of its programs; zero for the utility as a whole.
    /// @param budgetWei Left from now on, in wei.
    function setBudget(uint64 utilityId, uint64 programId, uint104 budgetWei) external {
        if (programId == 0) _checkOwner();
        else _checkManager(utilityId);
        uint256 spending = _spendingOf[utilityId][programId];
        _spendingOf[utilityId][programId] = ((spending >> SPENT) << SPENT) | budgetWei;
        emit BudgetSet(utilityId, programId, budgetWei);
    }

    /// @notice Limits a budget; what was counted on the day stays counted.
    /// @param utilityId Whose.
    /// @param programId Of which of its programs; zero for the utility as a whole.
    /// @param maxPerOperationWei Most that one operation may cost, in wei, inclusive; zero for no limit.
    /// @param maxPerDayWei Most that the operations of a UTC day may cost, in wei, inclusive; zero for no limit.
    function setLimits(uint64 utilityId, uint64 programId, uint128 maxPerOperationWei, uint128 maxPerDayWei) external {
        _checkManager(utilityId);
        _limitsOf[utilityId][programId] = Limits(maxPerOperationWei, maxPerDayWei);
        uint256 limited = maxPerOperationWei != 0 || maxPerDayWei != 0 ? 1 : 0;
        uint256 spending = _spendingOf[utilityId][programId];
        _spendingOf[utilityId][programId] = (uint248(spending)) | (limited << LIMITED);
        emit LimitsSet(utilityId, programId, maxPerOperationWei, maxPerDayWei);
    }

    /// @dev Takes what an operation may cost from the utility's budget, and from its program's if one is named.
    /// @param day UTC day that the operation falls on, zero if that is not clear. A day before the last one counted is
    /// counted on that one, so no day begins twice.
    function _reserve(uint64 utilityId, uint64 programId, uint256 costWei, uint256 day) internal {
        _take(utilityId, 0, costWei, day);
        if (programId != 0) _take(utilityId, programId, costWei, day);
    }

    /// @dev Gives back what an operation did not use of what was reserved for it, with the same day.
    function _giveBack(uint64 utilityId, uint64 programId, uint256 unusedWei, uint256 day) internal {
        _put(utilityId, 0, unusedWei, day);
        if (programId != 0) _put(utilityId, programId, unusedWei, day);
    }

    function _take(uint64 utilityId, uint64 programId, uint256 costWei, uint256 day) private {
        uint256 spending = _spendingOf[utilityId][programId];
        uint256 leftWei = uint104(spending);
        if (costWei > leftWei) revert BudgetExceeded(utilityId, programId, costWei, leftWei);
        uint256 spentWei = uint104(spending >> SPENT);
        uint256 counted = uint40(spending >> DAY);
        if (day > counted) (counted, spentWei) = (day, 0);
        // Neither overflows: the cost is no more than what is left, and all are below 2**104.
        unchecked {
            if (spending >> LIMITED != 0) _checkLimits(utilityId, programId, costWei, spentWei + costWei, day);
            if (day != 0) spentWei += costWei;
            if (spentWei > type(uint104).max) spentWei = type(uint104).max;
            _spendingOf[utilityId][programId] =
                ((spending >> LIMITED) << LIMITED) | (counted << DAY) | (spentWei << SPENT) | (leftWei - costWei);
        }
    }

    function _checkLimits(uint64 utilityId, uint64 programId, uint256 costWei, uint256 spentWei, uint256 day)
        private
        view
    {
        Limits memory limits = _limitsOf[utilityId][programId];
        if (limits.maxPerOperationWei != 0 && costWei > limits.maxPerOperationWei) {
            revert AboveOperationLimit(utilityId, programId, costWei, limits.maxPerOperationWei);
        }
        if (limits.maxPerDayWei == 0) return;
        // Zero stands for no clear day: it is no amount that somebody could shift.
        // slither-disable-next-line incorrect-equality
        if (day == 0) revert DayUnclear();
        if (spentWei > limits.maxPerDayWei) {
            revert AboveDayLimit(utilityId, programId, spentWei, limits.maxPerDayWei);
        }
    }

    /// @dev Never reverts, whatever was set meanwhile: a `postOp` that does would undo the call that was paid for.
    function _put(uint64 utilityId, uint64 programId, uint256 unusedWei, uint256 day) private {
        uint256 spending = _spendingOf[utilityId][programId];
        uint256 spentWei = uint104(spending >> SPENT);
        unchecked {
            uint256 leftWei = uint104(spending) + unusedWei;
            if (leftWei > type(uint104).max) leftWei = type(uint104).max;
            if (day == uint40(spending >> DAY)) spentWei = unusedWei < spentWei ? spentWei - unusedWei : 0;
            _spendingOf[utilityId][programId] = ((spending >> DAY) << DAY) | (spentWei << SPENT) | leftWei;
        }
    }

    function _checkManager(uint64 utilityId) private view {
        if (msg.sender != managerOf[utilityId] && msg.sender != owner()) revert NotManager(msg.sender);
    }
}
