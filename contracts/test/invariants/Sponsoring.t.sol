// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {World} from "../support/World.sol";

/// @dev Sends whole operations through the EntryPoint, sponsored, forged and failing, and keeps books.
contract Bundler is World {
    uint256 public constant OPERATION_LIMIT = 1.3e15;
    uint256 public constant DAY_LIMIT = 2.5e15;
    uint256 public constant PROGRAM_BUDGET = 6e15;
    uint64 public constant PROGRAM = 3;

    mapping(uint256 day => uint256) private _chargedOn;
    uint256 private _daysCharged;
    uint256 private _chargedInAll;
    uint256 private _chargedToProgram;
    uint256 public highestOperation;
    uint256 public deposited;
    uint256 public feeQuoted;
    uint256 public budgeted;

    function setUp() public override {
        super.setUp();
        open();
        deposited = 100 ether;
        budgeted = 50 ether;
        paymaster.setLimits(UTILITY, 0, uint128(OPERATION_LIMIT), uint128(DAY_LIMIT));
        paymaster.setBudget(UTILITY, PROGRAM, uint104(PROGRAM_BUDGET));
    }

    function pay(uint96 amount, uint96 fee, uint96 quoted, uint8 mode, uint64 callGas, bool forged, bool named)
        external
    {
        amount = uint96(bound(amount, 1, 2e6));
        fee = uint96(bound(fee, 0, 100));
        quoted = quoted % 2 == 0 ? fee : uint96(bound(quoted, 0, 100));
        mode = uint8(bound(mode, 1, 3));
        PackedUserOperation memory op = operation(payCall(packed(), amount, fee, mode == 1));
        op.accountGasLimits = bytes32((uint256(200_000) << 128) | bound(callGas, 0, 300_000));
        sponsor(op, sponsorFields(mode, quoted, named ? PROGRAM : 0), forged ? STRANGER : SPONSOR);
        signByKey(op, "");
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        uint256 before = _feesReceived();
        uint256 budgetBefore = left(UTILITY, 0);
        vm.prank(BENEFICIARY, BENEFICIARY);
        try entryPoint.handleOps(ops, BENEFICIARY) {
            uint256 charged = _feesReceived() - before;
            if (usd.balanceOf(PAYEE) + ovpp.balanceOf(PAYEE) > 0) feeQuoted += quoted;
            isTrue(!forged, "forged sponsorship was accepted");
            isTrue(charged <= quoted + amount, "charged more than the quote");
            _book(budgetBefore - left(UTILITY, 0), named);
        } catch {}
    }

    function _book(uint256 costWei, bool named) private {
        uint256 day = block.timestamp / 1 days;
        if (_chargedOn[day] == 0) ++_daysCharged;
        _chargedOn[day] += costWei;
        _chargedInAll += costWei;
        if (named) _chargedToProgram += costWei;
        if (costWei > highestOperation) highestOperation = costWei;
        isTrue(_chargedOn[day] <= 2 * DAY_LIMIT, "a day cost more than itself and the hour before the next");
    }

    /// @dev What was charged in all, on how many days, and in the program's name; what is left of its budget.
    function charges() external view returns (uint256, uint256, uint256, uint256) {
        return (_chargedInAll, _daysCharged, _chargedToProgram, left(UTILITY, PROGRAM));
    }

    /// @dev Up to three days, or to shortly before a midnight.
    function pass(uint32 time) external {
        if (time % 4 == 0) vm.warp((block.timestamp / 1 days + 1) * 1 days - bound(time, 1, 600));
        else vm.warp(block.timestamp + bound(time, 1, 3 days));
    }

    function withdrawByStranger(address who) external {
        if (who == address(this)) return;
        vm.prank(who);
        try paymaster.withdrawTo(payable(who), 1) {
            deposited = type(uint256).max;
        } catch {}
    }

    function depositAndBudget() external view returns (uint256 lost, uint256 charged) {
        return (deposited - paymaster.getDeposit(), budgeted - left(UTILITY, 0));
    }

    function feesPaid() external view returns (uint256 inFeeToken) {
        return ovpp.balanceOf(PAYEE);
    }

    function supply() external view returns (uint256, uint256) {
        return
            (
                ovpp.totalSupply(),
                ovpp.balanceOf(address(this)) + ovpp.balanceOf(address(account)) + ovpp.balanceOf(PAYEE)
            );
    }

    function _feesReceived() private view returns (uint256) {
        return usd.balanceOf(PAYEE) + ovpp.balanceOf(PAYEE);
    }
}

contract SponsoringInvariants {
    Bundler private bundler;
    address[] private _targets;
    FuzzSelector[] private _selectors;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function setUp() public {
        bundler = new Bundler();
        bundler.setUp();
        _targets.push(address(bundler));
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = Bundler.pay.selector;
        selectors[1] = Bundler.pass.selector;
        selectors[2] = Bundler.withdrawByStranger.selector;
        _selectors.push(FuzzSelector(address(bundler), selectors));
    }

    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory) {
        return _selectors;
    }

    /// @dev The rules below, checked together, as each would be played on its own otherwise.
    function invariant_sponsoring() external view {
        depositChangesOnlyByWhatBudgetsWereCharged();
        feesWithinTheQuotes();
        supplyIsFixed();
        budgetsKeepTheirLimits();
    }

    /// @dev The deposit loses nothing that no budget was charged for.
    function depositChangesOnlyByWhatBudgetsWereCharged() public view {
        (uint256 lost, uint256 charged) = bundler.depositAndBudget();
        require(lost <= charged, "the deposit lost more than the budget was charged");
    }

    /// @dev The customer never paid more than what was quoted.
    function feesWithinTheQuotes() public view {
        require(bundler.feesPaid() <= bundler.feeQuoted(), "fees above the quotes");
    }

    /// @dev No operation above its limit, n days never above n + 1 daily limits, a program within its own budget.
    function budgetsKeepTheirLimits() public view {
        (uint256 inAll, uint256 daysCharged, uint256 toProgram, uint256 leftToProgram) = bundler.charges();
        require(bundler.highestOperation() <= bundler.OPERATION_LIMIT(), "an operation above its limit");
        require(inAll <= (daysCharged + 1) * bundler.DAY_LIMIT(), "days above their limits");
        require(toProgram + leftToProgram == bundler.PROGRAM_BUDGET(), "the program's books");
    }

    function supplyIsFixed() public view {
        (uint256 supply, uint256 held) = bundler.supply();
        require(supply == held && supply == 1_000_000_000e18, "supply");
    }
}
