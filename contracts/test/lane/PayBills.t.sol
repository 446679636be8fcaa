// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Sessions} from "../../src/account/Sessions.sol";
import {BillSessions} from "../../src/account/BillSessions.sol";
import {BillLane} from "../../src/lane/BillLane.sol";
import {Policies} from "../support/Policies.sol";
import {World} from "../support/World.sol";

contract PayBillsTest is World {
    uint40 private deadline;
    uint24 private constant GAS_FOR_EACH = 200_000;

    function setUp() public override {
        super.setUp();
        open();
        deadline = uint40(block.timestamp + 60);
    }

    function _header(uint24 gasForEach) private view returns (bytes memory) {
        return abi.encodePacked(gasForEach, PAYEE, address(usd), address(ovpp));
    }

    function _intent(uint96 amount, uint96 fee, bool inFeeToken, uint32 sequence, uint256 secret)
        private
        view
        returns (bytes memory)
    {
        bytes32[5] memory words = packed();
        bytes32 digest =
            Policies.paymentDigest(words, REF, amount, fee, inFeeToken, sequence, deadline, address(account));
        bytes memory limits =
            abi.encodePacked(words[0], uint96(uint256(words[1])), uint96(uint256(words[2])), uint96(uint256(words[3])));
        return abi.encodePacked(
            abi.encodePacked(inFeeToken ? uint8(1) : uint8(0), address(account), limits, words[4]),
            abi.encodePacked(REF, amount, fee, deadline, sign(secret, digest))
        );
    }

    function test_paysEachInOrder() public {
        bytes memory bundle = abi.encodePacked(
            _header(GAS_FOR_EACH), _intent(10e6, 1e5, false, 0, KEY), _intent(20e6, 2e18, true, 1, KEY)
        );
        vm.expectEmit(address(account));
        emit BillSessions.BillPaid(REF, address(account), address(usd), 10e6, 1e5);
        vm.expectEmit(address(account));
        emit BillSessions.BillPaid(REF, address(account), address(usd), 20e6, 0);
        lane.payBills(bundle);
        equal(usd.balanceOf(PAYEE), 30_100_000, "usd");
        equal(ovpp.balanceOf(PAYEE), 2e18, "ovpp");
    }

    function test_refusedPaymentLeavesItsNeighbours() public {
        bytes memory bundle = abi.encodePacked(
            _header(GAS_FOR_EACH),
            _intent(10e6, 0, false, 0, KEY),
            _intent(11e6, 0, false, 1, STRANGER),
            _intent(12e6, 0, false, 1, KEY)
        );
        vm.expectEmit(address(lane));
        emit BillLane.IntentRefused(1, address(account), Sessions.NotSignedBy.selector);
        lane.payBills(bundle);
        equal(usd.balanceOf(PAYEE), 22e6, "usd");
    }

    function test_sameIntentTwicePaysOnce() public {
        bytes memory intent = _intent(10e6, 0, false, 0, KEY);
        lane.payBills(abi.encodePacked(_header(GAS_FOR_EACH), intent, intent));
        equal(usd.balanceOf(PAYEE), 10e6, "usd");
    }

    function test_installsWhenFlagged() public {
        bytes32[5] memory words = packed();
        words[4] = bytes32(uint256(words[4]) + 1);
        bytes32 digest = Policies.paymentDigest(words, REF, 5, 0, false, 0, deadline, address(account));
        bytes memory limits =
            abi.encodePacked(words[0], uint96(uint256(words[1])), uint96(uint256(words[2])), uint96(uint256(words[3])));
        bytes memory intent = abi.encodePacked(
            abi.encodePacked(uint8(2), address(account), limits, words[4]),
            abi.encodePacked(REF, uint96(5), uint96(0), deadline, sign(KEY, digest), installSignature(words))
        );
        lane.payBills(abi.encodePacked(_header(GAS_FOR_EACH), intent, _intent(6, 0, false, 0, KEY)));
        equal(usd.balanceOf(PAYEE), 11, "usd");
        equal(flagsOf(words), 1, "installed");
    }

    function test_saysWhenThereIsNoAccount() public {
        bytes memory intent = _intent(10e6, 0, false, 0, KEY);
        for (uint256 i = 1; i < 21; ++i) {
            intent[i] = 0x77;
        }
        vm.expectEmit(address(lane));
        emit BillLane.IntentRefused(0, address(0x7777777777777777777777777777777777777777), 0);
        lane.payBills(abi.encodePacked(_header(GAS_FOR_EACH), intent));
    }

    function test_refusesABundleThatIsCutShort() public {
        bytes memory bundle = abi.encodePacked(_header(GAS_FOR_EACH), _intent(10e6, 0, false, 0, KEY), hex"00");
        vm.expectRevert(abi.encodeWithSelector(BillLane.BundleCutShort.selector, bundle.length));
        lane.payBills(bundle);
        vm.expectRevert(abi.encodeWithSelector(BillLane.BundleCutShort.selector, 1));
        lane.payBills(hex"00");
        equal(usd.balanceOf(PAYEE), 0, "usd");
    }

    function test_refusesTooLittleGas() public {
        bytes memory bundle = abi.encodePacked(_header(2_000_000), _intent(10e6, 0, false, 0, KEY));
        vm.expectRevert(abi.encodeWithSelector(BillLane.TooLittleGas.selector, 0, 2_000_000));
        lane.payBills{gas: 1_500_000}(bundle);
    }
}
