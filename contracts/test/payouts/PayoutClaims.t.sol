// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {PayoutClaims} from "../../src/PayoutClaims.sol";
import {FalseToken, HookToken, SilentToken, TollToken} from "../support/Tokens.sol";
import {World} from "../support/World.sol";

/// @dev A round of three: two leaves under one node, the third beside it.
contract PayoutClaimsTest is World {
    address private constant ADA = address(0x101);
    address private constant BEN = address(0x102);
    address private constant EVE = address(0x103);
    uint48 private constant END = uint48(START + 10 days);

    bytes32 private round;
    bytes32[3] private leaves;

    function setUp() public override {
        super.setUp();
        usd.mint(address(this), 1_000);
        usd.approve(address(claims), type(uint256).max);
        round = claims.roundIdOf(address(this), REF);
        leaves = [claims.leafOf(round, 0, ADA, 5), claims.leafOf(round, 1, BEN, 7), claims.leafOf(round, 2, EVE, 9)];
        vm.expectEmit(address(claims));
        emit PayoutClaims.RoundOpened(round, address(this), address(usd), REF, _root(), 21, END);
        claims.open(REF, address(usd), 21, _root(), END);
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _root() private view returns (bytes32) {
        return _pair(_pair(leaves[0], leaves[1]), leaves[2]);
    }

    function _proof(uint256 index) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](index == 2 ? 1 : 2);
        if (index == 2) {
            proof[0] = _pair(leaves[0], leaves[1]);
        } else {
            proof[0] = leaves[1 - index];
            proof[1] = leaves[2];
        }
    }

    function _left() private view returns (uint256 units) {
        (,,, units,) = claims.rounds(round);
    }

    function _refused(bytes memory why, uint256 index, address account, uint256 amount, bytes32[] memory proof)
        private
    {
        vm.expectRevert(why);
        claims.claim(round, index, account, amount, proof);
        equal(usd.balanceOf(address(claims)), _left(), "nothing moved");
    }

    function test_openHoldsTheTokens() public view {
        (address funder, uint48 expiresAt, address token, uint96 units, bytes32 root) = claims.rounds(round);
        equal(funder, address(this), "funder");
        equal(expiresAt, END, "end");
        equal(token, address(usd), "token");
        equal(units, 21, "held");
        equal(root, _root(), "root");
        equal(usd.balanceOf(address(claims)), 21, "balance");
    }

    function test_openOncePerName() public {
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.AlreadyOpened.selector, round));
        claims.open(REF, address(usd), 1, _root(), END);
    }

    function test_openNeedsTokensAndTime() public {
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.NothingToClaim.selector, 0, END));
        claims.open("other", address(usd), 0, _root(), END);
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.NothingToClaim.selector, 1, block.timestamp));
        claims.open("other", address(usd), 1, _root(), uint48(block.timestamp));
        vm.expectRevert();
        claims.open("other", address(usd), 10_000, _root(), END);
    }

    function test_claimPaysTheAccountNamedWhoeverCalls() public {
        vm.expectEmit(address(claims));
        emit PayoutClaims.Claimed(round, 1, BEN, 7);
        vm.prank(EVE);
        claims.claim(round, 1, BEN, 7, _proof(1));
        equal(usd.balanceOf(BEN), 7, "paid");
        equal(usd.balanceOf(EVE), 0, "not the caller");
        isTrue(claims.isClaimed(round, 1), "claimed");
        isTrue(!claims.isClaimed(round, 0), "that one alone");
        claims.claim(round, 2, EVE, 9, _proof(2));
        claims.claim(round, 0, ADA, 5, _proof(0));
        equal(usd.balanceOf(address(claims)), 0, "all paid");
    }

    function test_claimOnce() public {
        claims.claim(round, 0, ADA, 5, _proof(0));
        _refused(abi.encodeWithSelector(PayoutClaims.AlreadyClaimed.selector, round, 0), 0, ADA, 5, _proof(0));
        equal(usd.balanceOf(ADA), 5, "once");
    }

    function test_claimRefusesWhatIsNotInTheRound() public {
        bytes memory why = abi.encodeWithSelector(PayoutClaims.NotInRound.selector, round, 0);
        _refused(why, 0, EVE, 5, _proof(0));
        _refused(why, 0, ADA, 6, _proof(0));
        _refused(why, 0, ADA, 5, _proof(1));
        _refused(why, 0, ADA, 5, new bytes32[](0));
        _refused(abi.encodeWithSelector(PayoutClaims.NotInRound.selector, round, 3), 3, ADA, 5, _proof(0));
    }

    /// @dev An inner node is no leaf: nothing is claimed with the pair of the first two as if it were one.
    function test_innerNodesAreNoLeaves() public {
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = leaves[2];
        uint256 fake = uint256(_pair(leaves[0], leaves[1]));
        _refused(abi.encodeWithSelector(PayoutClaims.NotInRound.selector, round, fake), fake, ADA, 5, proof);
    }

    function test_replayAcrossRoundsChainsAndContracts() public {
        bytes32 root = _root();
        bytes32 second = claims.open("second", address(usd), 21, root, END);
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.NotInRound.selector, second, 0));
        claims.claim(second, 0, ADA, 5, _proof(0));
        PayoutClaims twin = new PayoutClaims();
        usd.approve(address(twin), 21);
        equal(twin.open(REF, address(usd), 21, root, END), round, "same id");
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.NotInRound.selector, round, 0));
        twin.claim(round, 0, ADA, 5, _proof(0));
        bytes32[] memory proof = _proof(0);
        vm.chainId(2);
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.NotInRound.selector, round, 0));
        claims.claim(round, 0, ADA, 5, proof);
    }

    function test_claimWithinTheRoundsTime() public {
        vm.warp(END - 1);
        claims.claim(round, 0, ADA, 5, _proof(0));
        vm.warp(END);
        _refused(abi.encodeWithSelector(PayoutClaims.RoundOver.selector, round, END), 1, BEN, 7, _proof(1));
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.RoundOver.selector, bytes32("none"), 0));
        claims.claim("none", 0, ADA, 5, _proof(0));
    }

    /// @dev A root that promises more than its round holds takes nothing of its neighbours'.
    function test_roundPaysNoMoreThanItHolds() public {
        bytes32 poor = claims.roundIdOf(BENEFICIARY, REF);
        usd.mint(BENEFICIARY, 4);
        bytes32 leaf = claims.leafOf(poor, 0, BENEFICIARY, 5);
        vm.startPrank(BENEFICIARY);
        usd.approve(address(claims), 4);
        claims.open(REF, address(usd), 4, leaf, END);
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.AboveWhatIsLeft.selector, 5, 4));
        claims.claim(poor, 0, BENEFICIARY, 5, new bytes32[](0));
        vm.stopPrank();
        equal(usd.balanceOf(address(claims)), 25, "nothing moved");
    }

    function test_returnLeft() public {
        claims.claim(round, 0, ADA, 5, _proof(0));
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.RoundNotOver.selector, round, END));
        claims.returnLeft(round);
        vm.warp(END);
        vm.expectEmit(address(claims));
        emit PayoutClaims.Returned(round, address(this), 16);
        vm.prank(EVE);
        claims.returnLeft(round);
        equal(usd.balanceOf(address(this)), 995, "returned");
        equal(_left(), 0, "nothing left");
        claims.returnLeft(round);
        equal(usd.balanceOf(address(this)), 995, "once");
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.RoundOver.selector, bytes32("none"), 0));
        claims.returnLeft("none");
    }

    function test_feeOnTransferToken() public {
        TollToken toll = new TollToken();
        toll.mint(address(this), 100);
        toll.approve(address(claims), 100);
        vm.expectRevert(abi.encodeWithSelector(PayoutClaims.ReceivedOtherAmount.selector, 90, 100));
        claims.open("toll", address(toll), 100, leaves[0], END);
    }

    function test_falseReturningToken() public {
        FalseToken falseToken = new FalseToken();
        vm.mockCall(address(falseToken), abi.encodeCall(usd.balanceOf, (address(claims))), abi.encode(0));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(falseToken)));
        claims.open("false", address(falseToken), 100, leaves[0], END);
    }

    function test_takesTokensThatAnswerNothing() public {
        SilentToken silent = new SilentToken();
        silent.mint(address(this), 5);
        bytes32 id = claims.roundIdOf(address(this), "silent");
        claims.open("silent", address(silent), 5, claims.leafOf(id, 0, ADA, 5), END);
        claims.claim(id, 0, ADA, 5, new bytes32[](0));
        equal(silent.balanceOf(ADA), 5, "paid");
    }

    /// @dev In the middle of a transfer the payout counts as claimed already.
    function test_reentrancyByTokenHooks() public {
        HookToken hook = new HookToken();
        hook.mint(address(this), 10);
        hook.approve(address(claims), 10);
        bytes32 id = claims.roundIdOf(address(this), "hook");
        claims.open("hook", address(hook), 10, claims.leafOf(id, 0, ADA, 5), END);
        hook.setHook(address(claims), abi.encodeCall(PayoutClaims.claim, (id, 0, ADA, 5, new bytes32[](0))));
        claims.claim(id, 0, ADA, 5, new bytes32[](0));
        isTrue(!hook.hookSucceeded(), "refused within");
        equal(hook.balanceOf(ADA), 5, "paid once");
    }
}
