// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Payouts} from "../../src/Payouts.sol";
import {World} from "../support/World.sol";

contract PayBatchTest is World {
    address[] private recipients = [address(0x101), address(0x102)];
    uint256[] private amounts = [uint256(5), 7];

    function setUp() public override {
        super.setUp();
        usd.mint(address(this), 100);
        usd.approve(address(payouts), 12);
    }

    function test_paysEach() public {
        vm.expectEmit(address(payouts));
        emit Payouts.PayoutMade(REF, address(this), address(0x101), address(usd), 5);
        vm.expectEmit(address(payouts));
        emit Payouts.PayoutMade(REF, address(this), address(0x102), address(usd), 7);
        payouts.payBatch(REF, address(usd), recipients, amounts);
        equal(usd.balanceOf(address(0x101)), 5, "first");
        equal(usd.balanceOf(address(0x102)), 7, "second");
        equal(usd.balanceOf(address(payouts)), 0, "holds nothing");
        isTrue(payouts.isPaid(address(this), REF), "used");
    }

    function test_paysOncePerName() public {
        usd.approve(address(payouts), 100);
        payouts.payBatch(REF, address(usd), recipients, amounts);
        vm.expectRevert(abi.encodeWithSelector(Payouts.AlreadyPaid.selector, address(this), REF));
        payouts.payBatch(REF, address(usd), recipients, amounts);
        equal(usd.balanceOf(address(0x101)), 5, "first");
    }

    function test_anotherPayerMayUseTheName() public {
        payouts.payBatch(REF, address(usd), recipients, amounts);
        usd.mint(address(1), 12);
        vm.startPrank(address(1));
        usd.approve(address(payouts), 12);
        payouts.payBatch(REF, address(usd), recipients, amounts);
        vm.stopPrank();
        equal(usd.balanceOf(address(0x101)), 10, "first");
    }

    function test_allOrNothing() public {
        usd.approve(address(payouts), 11);
        vm.expectRevert();
        payouts.payBatch(REF, address(usd), recipients, amounts);
        equal(usd.balanceOf(address(0x101)), 0, "first");
        isTrue(!payouts.isPaid(address(this), REF), "not used");
    }

    function test_refusesListsThatDontPair() public {
        amounts.push(1);
        vm.expectRevert(abi.encodeWithSelector(Payouts.LengthsDiffer.selector, 2, 3));
        payouts.payBatch(REF, address(usd), recipients, amounts);
        vm.expectRevert(Payouts.NobodyToPay.selector);
        payouts.payBatch(REF, address(usd), new address[](0), new uint256[](0));
    }
}
