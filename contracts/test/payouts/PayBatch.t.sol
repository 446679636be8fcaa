// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Payouts} from "../../src/Payouts.sol";
import {FalseToken, SilentToken} from "../support/Tokens.sol";
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

    function test_takesTokensThatAnswerNothing() public {
        SilentToken silent = new SilentToken();
        silent.mint(address(this), 12);
        payouts.payBatch(REF, address(silent), recipients, amounts);
        equal(silent.balanceOf(address(0x102)), 7, "second");
    }

    function test_refusesTokensThatSayNoOrAreNone() public {
        address falseToken = address(new FalseToken());
        vm.expectRevert(abi.encodeWithSelector(Payouts.TokenRefused.selector, falseToken));
        payouts.payBatch(REF, falseToken, recipients, amounts);
        vm.expectRevert(abi.encodeWithSelector(Payouts.TokenRefused.selector, address(0x999)));
        payouts.payBatch(REF, address(0x999), recipients, amounts);
    }

    function test_refusesListsThatDontPair() public {
        amounts.push(1);
        vm.expectRevert(abi.encodeWithSelector(Payouts.LengthsDiffer.selector, 2, 3));
        payouts.payBatch(REF, address(usd), recipients, amounts);
        vm.expectRevert(Payouts.NobodyToPay.selector);
        payouts.payBatch(REF, address(usd), new address[](0), new uint256[](0));
    }
}

contract PayPackedTest is World {
    bytes32[] private batch;

    function setUp() public override {
        super.setUp();
        usd.mint(address(this), 100);
        usd.approve(address(payouts), 12);
        batch.push(bytes32((uint256(0x101) << 96) | 5));
        batch.push(bytes32((uint256(0x102) << 96) | 7));
    }

    function test_paysEach() public {
        vm.expectEmit(address(payouts));
        emit Payouts.BatchPaid(REF, address(this), address(usd), 2, 12);
        payouts.payPacked(REF, address(usd), batch);
        equal(usd.balanceOf(address(0x101)), 5, "first");
        equal(usd.balanceOf(address(0x102)), 7, "second");
    }

    function test_paysOncePerNameByEitherFunction() public {
        usd.approve(address(payouts), 100);
        payouts.payPacked(REF, address(usd), batch);
        vm.expectRevert(abi.encodeWithSelector(Payouts.AlreadyPaid.selector, address(this), REF));
        payouts.payPacked(REF, address(usd), batch);
        address[] memory recipients = new address[](1);
        recipients[0] = address(1);
        vm.expectRevert(abi.encodeWithSelector(Payouts.AlreadyPaid.selector, address(this), REF));
        payouts.payBatch(REF, address(usd), recipients, new uint256[](1));
    }

    function test_allOrNothing() public {
        usd.approve(address(payouts), 11);
        vm.expectRevert();
        payouts.payPacked(REF, address(usd), batch);
        equal(usd.balanceOf(address(0x101)), 0, "first");
        vm.expectRevert(Payouts.NobodyToPay.selector);
        payouts.payPacked(REF, address(usd), new bytes32[](0));
    }
}
