// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Sessions} from "../../src/account/Sessions.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

contract PayBillSignedTest is World {
    uint40 private deadline;

    function setUp() public override {
        super.setUp();
        open();
        deadline = uint40(vm.getBlockTimestamp() + 60);
    }

    function _signature(uint256 secret, uint256 amount, uint32 sequence) private view returns (bytes memory) {
        return
            sign(
                secret, Policies.paymentDigest(packed(), REF, amount, 3e5, false, sequence, deadline, address(account))
            );
    }

    function _pay(uint256 amount, bytes memory signature) private {
        account.payBillSigned(packed(), payment(amount, 3e5, false), deadline, signature);
    }

    function test_paysWhoeverBringsIt() public {
        bytes memory signature = _signature(KEY, 50e6, 0);
        vm.expectEmit(address(account));
        emit BillSessions.BillPaid(REF, address(account), address(usd), 50e6, 3e5);
        _pay(50e6, signature);
        equal(usd.balanceOf(PAYEE), 50_300_000, "payee");
        (,,,, uint256 sequence) = account.session(Policies.id(packed()));
        equal(sequence, 1, "sequence");
    }

    function test_digestIsTheAccountsOwn() public view {
        bytes32 digest = account.billPaymentDigest(Policies.id(packed()), payment(50e6, 3e5, false), 4, deadline);
        equal(digest, Policies.paymentDigest(packed(), REF, 50e6, 3e5, false, 4, deadline, address(account)), "digest");
    }

    function test_neverPaysTwice() public {
        bytes memory signature = _signature(KEY, 50e6, 0);
        _pay(50e6, signature);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        _pay(50e6, signature);
        equal(usd.balanceOf(PAYEE), 50_300_000, "payee");
    }

    function test_refusesReordering() public {
        bytes memory second = _signature(KEY, 50e6, 1);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        _pay(50e6, second);
        _pay(49e6, _signature(KEY, 49e6, 0));
        _pay(50e6, second);
        equal(spent(), 99e6 + 6e5, "spent");
    }

    function test_refusesOtherSignersAndAmounts() public {
        bytes memory forged = _signature(STRANGER, 50e6, 0);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        _pay(50e6, forged);
        bytes memory genuine = _signature(KEY, 50e6, 0);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        _pay(50e6 + 1, genuine);
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(KEY)));
        _pay(50e6, "");
        equal(spent(), 0, "spent");
    }

    function test_refusesAtTheDeadline() public {
        bytes memory signature = _signature(KEY, 50e6, 0);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.DeadlinePassed.selector, deadline, deadline));
        _pay(50e6, signature);
        vm.warp(deadline - 1);
        _pay(50e6, signature);
    }

    function test_obeysTheSamePolicyAndCounters() public {
        vm.prank(address(entryPoint));
        account.payBill(packed(), REF, 100e6, 0, false);
        bytes memory signature = _signature(KEY, 50e6, 0);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePeriodLimit.selector, 150_300_000, 150e6));
        _pay(50e6, signature);
        _pay(49e6, _signature(KEY, 49e6, 0));
        equal(spent(), 149_300_000, "spent over both paths");
    }

    function test_refusalLeavesTheSequence() public {
        bytes memory tooMuch = _signature(KEY, 100e6, 0);
        vm.expectRevert(abi.encodeWithSelector(BillSessions.AbovePaymentLimit.selector, 100_300_000, 100e6));
        _pay(100e6, tooMuch);
        _pay(50e6, _signature(KEY, 50e6, 0));
    }

    function test_installsWithTheOwnersSignature() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes32 digest = Policies.paymentDigest(words, REF, 5, 0, false, 0, deadline, address(account));
        account.payBillSigned(
            words, payment(5, 0, false), deadline, abi.encodePacked(sign(KEY, digest), installSignature(words))
        );
        equal(flagsOf(words), 1, "installed");
        equal(usd.balanceOf(PAYEE), 5, "paid");
    }

    function test_refusesInstallOfAnother() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes32 digest = Policies.paymentDigest(words, REF, 5, 0, false, 0, deadline, address(account));
        bytes memory both = abi.encodePacked(sign(KEY, digest), leaveBy(STRANGER, words, address(account)));
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotSignedBy.selector, vm.addr(OWNER)));
        account.payBillSigned(words, payment(5, 0, false), deadline, both);
        equal(flagsOf(words), 0, "not installed");
    }
}
