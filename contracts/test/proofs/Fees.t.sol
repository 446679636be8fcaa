// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IBillPayer} from "../../src/interfaces/IBillPayer.sol";
import {OpenVPPPaymaster} from "../../src/paymaster/OpenVPPPaymaster.sol";
import {RelayPaymaster} from "../../src/paymaster/RelayPaymaster.sol";
import {Checks} from "../support/Checks.sol";

/// @dev Proofs by halmos about both paymasters' own bytecode, for every fee, quote, mode, cost, budget and caller. What
/// is named `check_wrong` is false and must be refuted: it shows that the proofs beside it are not empty.
contract FeeProofs is Checks {
    address private constant ENTRY_POINT = address(0xE9);
    uint64 private constant UTILITY = 7;
    uint256 private constant DAY = 20_000;

    OpenVPPPaymaster private paymaster;
    RelayPaymaster private relay;

    function setUp() public {
        vm.warp(DAY * 1 days + 100);
        paymaster = new OpenVPPPaymaster(IEntryPoint(ENTRY_POINT), address(this));
        relay = new RelayPaymaster(IEntryPoint(ENTRY_POINT), address(this));
    }

    function _sponsors(uint8 mode, uint128 quoted, uint256 fee, bool inFeeToken, uint256 cost) private returns (bool) {
        PackedUserOperation memory op;
        bytes32[5] memory policy;
        op.callData = abi.encodeWithSelector(IBillPayer.payBill.selector, policy, bytes16(0), 1, fee, inFeeToken);
        op.paymasterAndData = abi.encodePacked(
            abi.encodePacked(address(paymaster), uint128(1), uint128(1), mode, UTILITY, uint64(0)),
            abi.encodePacked(uint48(DAY * 1 days), uint48(DAY * 1 days + 300), quoted, bytes32(0), bytes32(0), uint8(0))
        );
        vm.prank(ENTRY_POINT);
        (bool done,) =
            address(paymaster).call(abi.encodeCall(paymaster.validatePaymasterUserOp, (op, bytes32(0), cost)));
        return done;
    }

    /// @dev The customer's call carries exactly the fee that was quoted, in the kind of token that was quoted.
    function check_sponsorsOnlyTheQuotedFee(uint8 mode, uint128 quoted, uint256 fee, bool inFeeToken) external {
        if (!_sponsors(mode, quoted, fee, inFeeToken, 0)) return;
        assert(fee == quoted);
        assert(mode == 1 || mode == 2 || mode == 3);
        assert(mode != 3 || fee == 0);
        assert(fee == 0 || inFeeToken == (mode == 1));
    }

    function check_wrong_sponsorsNoFee(uint8 mode, uint128 quoted, uint256 fee, bool inFeeToken) external {
        if (_sponsors(mode, quoted, fee, inFeeToken, 0)) assert(fee == 0);
    }

    /// @dev No operation goes beyond what is left, or beyond a limit; and what it may cost is taken at once.
    function check_budgetAndLimitsBoundEachOperation(uint104 left, uint256 cost, uint128 perOperation, uint128 perDay)
        external
    {
        paymaster.setBudget(UTILITY, 0, left);
        paymaster.setLimits(UTILITY, 0, perOperation, perDay);
        bool done = _sponsors(3, 0, 0, false, cost);
        (uint256 leftAfter, uint256 spentOnDay,,,) = paymaster.budgetOf(UTILITY, 0);
        if (!done) {
            assert(leftAfter == left);
            return;
        }
        assert(cost <= left);
        assert(leftAfter == left - cost);
        assert(perOperation == 0 || cost <= perOperation);
        assert(perDay == 0 || spentOnDay <= perDay);
        assert(spentOnDay == cost);
    }

    function check_wrong_nothingIsEverCharged(uint104 left, uint256 cost) external {
        paymaster.setBudget(UTILITY, 0, left);
        _sponsors(3, 0, 0, false, cost);
        (uint256 leftAfter,,,,) = paymaster.budgetOf(UTILITY, 0);
        assert(leftAfter == left);
    }

    /// @dev The cheap mode pays for nobody's operation above the price and the cost allowed to the sender of the
    /// transaction.
    function check_relayerStaysWithinItsAllowance(
        address relayer,
        address origin,
        uint96 maxFeePerGas,
        uint128 maxCost,
        uint128 price,
        uint256 cost
    ) external {
        relay.setAllowance(relayer, maxFeePerGas, maxCost);
        PackedUserOperation memory op;
        op.gasFees = bytes32(uint256(price));
        op.paymasterAndData = abi.encodePacked(address(relay), uint128(1), uint128(0));
        vm.prank(ENTRY_POINT, origin);
        (bool done,) = address(relay).call(abi.encodeCall(relay.validatePaymasterUserOp, (op, bytes32(0), cost)));
        if (!done) return;
        assert(origin == relayer);
        assert(price <= maxFeePerGas);
        assert(cost <= maxCost);
    }

    function check_wrong_relayerIsNeverTrusted(address relayer, uint96 maxFeePerGas, uint128 price) external {
        relay.setAllowance(relayer, maxFeePerGas, 1);
        PackedUserOperation memory op;
        op.gasFees = bytes32(uint256(price));
        op.paymasterAndData = abi.encodePacked(address(relay), uint128(1), uint128(0));
        vm.prank(ENTRY_POINT, relayer);
        (bool done,) = address(relay).call(abi.encodeCall(relay.validatePaymasterUserOp, (op, bytes32(0), 1)));
        assert(!done);
    }

    /// @dev Nobody but the owner takes from the deposit or says who sponsors, and for how much.
    function check_othersChangeNothing(address caller, address payable someone, uint128 amount) external {
        vm.assume(caller != ENTRY_POINT && caller != address(this));
        bytes[9] memory calls = [
            abi.encodeCall(paymaster.setSponsor, (someone, true)),
            abi.encodeCall(paymaster.setBudget, (UTILITY, 0, uint104(amount))),
            abi.encodeCall(paymaster.setBudget, (UTILITY, 1, uint104(amount))),
            abi.encodeCall(paymaster.setLimits, (UTILITY, 0, amount, amount)),
            abi.encodeCall(paymaster.setManager, (UTILITY, someone)),
            abi.encodeCall(paymaster.setPaused, (true)),
            abi.encodeCall(paymaster.withdrawTo, (someone, amount)),
            abi.encodeCall(paymaster.withdrawStake, (someone)),
            abi.encodeCall(paymaster.transferOwnership, (someone))
        ];
        vm.assume(caller != address(0));
        for (uint256 i = 0; i < 9; ++i) {
            vm.prank(caller);
            (bool done,) = address(paymaster).call(calls[i]);
            assert(!done);
        }
    }
}
