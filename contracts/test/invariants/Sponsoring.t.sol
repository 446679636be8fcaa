// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {RelayPaymaster} from "../../src/paymaster/RelayPaymaster.sol";
import {Vm} from "../support/Vm.sol";
import {World} from "../support/World.sol";
import {Game, Player} from "./Game.sol";

/// @dev Sends whole operations through the EntryPoint, sponsored by either paymaster, forged and failing, and keeps
/// books.
contract Bundler is World, Player {
    uint256 public constant OPERATION_LIMIT = 1.3e15;
    uint256 public constant DAY_LIMIT = 2.5e15;
    uint256 public constant PROGRAM_BUDGET = 6e15;
    uint64 public constant PROGRAM = 3;
    uint256 public constant RELAYED_LIMIT = 0.97e15;
    uint256 public constant RELAYED_PRICE = 2 gwei;

    address private constant RELAYER = address(0x4E1A);
    bytes32 private constant OPERATION_EVENT =
        keccak256("UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)");

    RelayPaymaster private relay;
    mapping(uint256 day => uint256) private _chargedOn;
    uint256 private _daysCharged;
    uint256 private _chargedInAll;
    uint256 private _chargedToProgram;
    uint256 public highestOperation;
    uint256 public sponsoredWei;
    uint256 public relayedWei;

    function setUp() public override {
        super.setUp();
        open();
        paymaster.setLimits(UTILITY, 0, uint128(OPERATION_LIMIT), uint128(DAY_LIMIT));
        paymaster.setBudget(UTILITY, PROGRAM, uint104(PROGRAM_BUDGET));
        relay = new RelayPaymaster(entryPoint, address(this));
        relay.deposit{value: 10 ether}();
        relay.setAllowance(RELAYER, uint96(RELAYED_PRICE), uint128(RELAYED_LIMIT));
        relay.setBudget(UTILITY, 0, 10 ether);
    }

    /// @param how Now and then forged, quoted otherwise than asked for, or in a program's name.
    function pay(uint96 amount, uint96 fee, uint96 quoted, uint8 mode, uint64 callGas, uint8 how) external plays {
        amount = uint96(bound(amount, 1, 2e6));
        mode = uint8(bound(mode, 1, 3));
        fee = mode == 3 && how % 16 != 5 ? 0 : uint96(bound(fee, 0, 100));
        quoted = how % 4 == 1 ? uint96(bound(quoted, 0, 100)) : fee;
        bool forged = how % 8 == 2;
        bool named = how % 2 == 0;
        PackedUserOperation memory op = operation(payCall(packed(), amount, fee, mode == 1));
        op.accountGasLimits = bytes32((uint256(200_000) << 128) | bound(callGas, 0, 300_000));
        sponsor(op, sponsorFields(mode, quoted, named ? PROGRAM : 0), forged ? STRANGER : SPONSOR);
        signByKey(op, "");
        (uint256 inUsd, uint256 inOvpp) = (usd.balanceOf(PAYEE), ovpp.balanceOf(PAYEE));
        uint256 budgetBefore = left(UTILITY, 0);
        (bool taken, uint256 cost) = _handled(op, BENEFICIARY, address(paymaster));
        if (!taken) return;
        isTrue(!forged && fee == quoted, "a sponsorship that is none was accepted");
        sponsoredWei += cost;
        uint256 charged = budgetBefore - left(UTILITY, 0);
        isTrue(cost <= charged, "more was paid than charged");
        _book(charged, named);
        (inUsd, inOvpp) = (usd.balanceOf(PAYEE) - inUsd, ovpp.balanceOf(PAYEE) - inOvpp);
        if (inUsd == 0) return;
        equal(inUsd, mode == 1 ? amount : amount + quoted, "the bill, and the fee that was quoted");
        equal(inOvpp, mode == 1 ? quoted : 0, "the fee that was quoted");
        success();
    }

    /// @param how Now and then a stranger's transaction, or charged to a budget.
    function payByRelay(uint96 amount, uint96 fee, uint96 price, uint8 how) external plays {
        amount = uint96(bound(amount, 1, 2e6));
        fee = uint96(bound(fee, 0, 100));
        price = uint96(bound(price, 0.5 gwei, 2.5 gwei));
        address payable sender = payable(how % 4 == 1 ? BENEFICIARY : RELAYER);
        bool budgeted = how % 2 == 0;
        PackedUserOperation memory op = operation(payCall(packed(), amount, fee, false));
        op.accountGasLimits = bytes32((uint256(200_000) << 128) | 150_000);
        op.gasFees = bytes32((uint256(price) << 128) | price);
        op.paymasterAndData = abi.encodePacked(address(relay), uint128(60_000), uint128(budgeted ? 30_000 : 0));
        if (budgeted) op.paymasterAndData = abi.encodePacked(op.paymasterAndData, UTILITY, uint64(0));
        signByKey(op, "");
        uint256 before = usd.balanceOf(PAYEE);
        (bool taken, uint256 cost) = _handled(op, sender, address(relay));
        if (!taken) return;
        isTrue(sender == RELAYER && price <= RELAYED_PRICE, "a stranger, or too dear a price, was trusted");
        isTrue(cost <= RELAYED_LIMIT, "more than an operation may cost");
        relayedWei += cost;
        uint256 paid = usd.balanceOf(PAYEE) - before;
        if (paid == 0) return;
        equal(paid, uint256(amount) + fee, "the bill, and the fee that was signed");
        success();
    }

    /// @dev Up to three days, or to shortly before a midnight.
    function pass(uint32 time) external plays {
        if (time % 4 == 0) vm.warp((block.timestamp / 1 days + 1) * 1 days - bound(time, 1, 600));
        else vm.warp(block.timestamp + bound(time, 1, 3 days));
        success();
    }

    function withdrawByStranger(address who) external plays {
        if (who == address(this)) return;
        vm.prank(who);
        try paymaster.withdrawTo(payable(who), 1) {
            isTrue(false, "a stranger took from the deposit");
        } catch {}
        vm.prank(who);
        try relay.withdrawTo(payable(who), 1) {
            isTrue(false, "a stranger took from the float");
        } catch {}
        success();
    }

    /// @dev What was charged in all, on how many days, and in the program's name; what is left of its budget.
    function charges() external view returns (uint256, uint256, uint256, uint256) {
        return (_chargedInAll, _daysCharged, _chargedToProgram, left(UTILITY, PROGRAM));
    }

    /// @dev What the two deposits lost.
    function lost() external view returns (uint256 ofPortable, uint256 ofCheap) {
        return (100 ether - paymaster.getDeposit(), 10 ether - relay.getDeposit());
    }

    function supply() external view returns (uint256, uint256) {
        return
            (
                ovpp.totalSupply(),
                ovpp.balanceOf(address(this)) + ovpp.balanceOf(address(account)) + ovpp.balanceOf(PAYEE)
            );
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

    /// @dev Whether the EntryPoint took an operation, and what it says that it cost.
    function _handled(PackedUserOperation memory op, address payable sender, address payer)
        private
        returns (bool taken, uint256 cost)
    {
        PackedUserOperation[] memory ops = new PackedUserOperation[](1);
        ops[0] = op;
        vm.recordLogs();
        vm.prank(sender, sender);
        try entryPoint.handleOps(ops, sender) {
            taken = true;
        } catch {}
        Vm.Log[] memory logs = vm.getRecordedLogs();
        if (!taken) return (false, 0);
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != OPERATION_EVENT) continue;
            equal(uint256(logs[i].topics[3]), uint160(payer), "who paid");
            (,, cost,) = abi.decode(logs[i].data, (uint256, bool, uint256, uint256));
        }
    }
}

contract SponsoringInvariants is Game {
    Bundler private bundler;

    function setUp() public {
        bundler = new Bundler();
        bundler.setUp();
        bytes4[] memory selectors = new bytes4[](4);
        selectors[0] = Bundler.pay.selector;
        selectors[1] = Bundler.payByRelay.selector;
        selectors[2] = Bundler.pass.selector;
        selectors[3] = Bundler.withdrawByStranger.selector;
        play(bundler, selectors, new bytes4[](0));
    }

    /// @dev The rules below, checked together, as each would be played on its own otherwise. That nobody paid another
    /// fee than the quoted one is checked with each operation.
    function invariant_sponsoring() external view {
        depositsChangeOnlyByWhatTheySponsored();
        supplyIsFixed();
        budgetsKeepTheirLimits();
    }

    /// @dev To the wei: both deposits lost what the EntryPoint says that the operations cost which they paid for.
    function depositsChangeOnlyByWhatTheySponsored() public view {
        (uint256 ofPortable, uint256 ofCheap) = bundler.lost();
        equal(ofPortable, bundler.sponsoredWei(), "the portable deposit");
        equal(ofCheap, bundler.relayedWei(), "the cheap deposit");
    }

    /// @dev No operation above its limit, n days never above n + 1 daily limits, a program within its own budget.
    function budgetsKeepTheirLimits() public view {
        (uint256 inAll, uint256 daysCharged, uint256 toProgram, uint256 leftToProgram) = bundler.charges();
        isTrue(bundler.highestOperation() <= bundler.OPERATION_LIMIT(), "an operation above its limit");
        isTrue(inAll <= (daysCharged + 1) * bundler.DAY_LIMIT(), "days above their limits");
        equal(toProgram + leftToProgram, bundler.PROGRAM_BUDGET(), "the program's books");
    }

    function supplyIsFixed() public view {
        (uint256 supply, uint256 held) = bundler.supply();
        isTrue(supply == held && supply == 1_000_000_000e18, "supply");
    }
}
