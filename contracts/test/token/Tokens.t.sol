// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {DevPriceFeed} from "../../src/dev/DevPriceFeed.sol";
import {DevStablecoin} from "../../src/dev/DevStablecoin.sol";
import {OVPP} from "../../src/token/OVPP.sol";
import {Checks} from "../support/Checks.sol";

contract OVPPTest is Checks {
    uint256 private constant HOLDER = 0xA11CE;
    OVPP private token;

    function setUp() public {
        token = new OVPP(vm.addr(HOLDER));
    }

    function test_supplyIsFixedAndTheTreasurys() public view {
        equal(token.totalSupply(), 1_000_000_000e18, "supply");
        equal(token.balanceOf(vm.addr(HOLDER)), 1_000_000_000e18, "treasury");
        equal(token.decimals(), 18, "decimals");
    }

    function test_votesFollowDelegation() public {
        vm.prank(vm.addr(HOLDER));
        token.delegate(address(this));
        equal(token.getVotes(address(this)), 1_000_000_000e18, "votes");
        vm.prank(vm.addr(HOLDER));
        token.transfer(address(1), 1e18);
        equal(token.getVotes(address(this)), 999_999_999e18, "votes after a transfer");
    }

    function test_permit() public {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(
            abi.encode(typehash, vm.addr(HOLDER), address(this), 5, token.nonces(vm.addr(HOLDER)), block.timestamp)
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(HOLDER, digest);
        token.permit(vm.addr(HOLDER), address(this), 5, block.timestamp, v, r, s);
        equal(token.allowance(vm.addr(HOLDER), address(this)), 5, "allowance");
        equal(token.nonces(vm.addr(HOLDER)), 1, "nonce");
    }
}

contract DevStablecoinTest is Checks {
    uint256 private constant HOLDER = 0xA11CE;
    uint256 private constant STRANGER = 0xE7E;
    bytes32 private constant NONCE = keccak256("nonce");
    DevStablecoin private token;

    function setUp() public {
        vm.warp(1_000_000);
        token = new DevStablecoin(address(this));
        token.mint(vm.addr(HOLDER), 100);
    }

    function _sign(uint256 secret, string memory name, address to, uint256 validAfter, uint256 validBefore)
        private
        view
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 typehash = keccak256(
            abi.encodePacked(
                name, "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
            )
        );
        bytes32 structHash = keccak256(abi.encode(typehash, vm.addr(HOLDER), to, 7, validAfter, validBefore, NONCE));
        return vm.sign(secret, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function _transfer(uint8 v, bytes32 r, bytes32 s, uint256 validAfter, uint256 validBefore) private {
        token.transferWithAuthorization(vm.addr(HOLDER), address(1), 7, validAfter, validBefore, NONCE, v, r, s);
    }

    function test_ownerMints() public {
        equal(token.decimals(), 6, "decimals");
        equal(token.balanceOf(vm.addr(HOLDER)), 100, "minted");
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, vm.addr(HOLDER)));
        vm.prank(vm.addr(HOLDER));
        token.mint(vm.addr(HOLDER), 1);
    }

    function test_transferWithAuthorizationOnce() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(HOLDER, "TransferWithAuthorization", address(1), 0, 2_000_000);
        vm.expectEmit(address(token));
        emit DevStablecoin.AuthorizationUsed(vm.addr(HOLDER), NONCE);
        _transfer(v, r, s, 0, 2_000_000);
        equal(token.balanceOf(address(1)), 7, "moved");
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.AuthorizationSpent.selector, vm.addr(HOLDER), NONCE));
        _transfer(v, r, s, 0, 2_000_000);
    }

    function test_transferWithAuthorizationRefusals() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(STRANGER, "TransferWithAuthorization", address(1), 0, 2_000_000);
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.AuthorizationNotSigned.selector, vm.addr(HOLDER)));
        _transfer(v, r, s, 0, 2_000_000);
        vm.expectRevert(
            abi.encodeWithSelector(DevStablecoin.AuthorizationOutsideWindow.selector, 1_000_000, 1_000_000, 2_000_000)
        );
        _transfer(v, r, s, 1_000_000, 2_000_000);
        vm.expectRevert(
            abi.encodeWithSelector(DevStablecoin.AuthorizationOutsideWindow.selector, 1_000_000, 0, 1_000_000)
        );
        _transfer(v, r, s, 0, 1_000_000);
        equal(token.balanceOf(address(1)), 0, "nothing moved");
    }

    function test_receiveWithAuthorizationIsThePayees() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(HOLDER, "ReceiveWithAuthorization", address(this), 0, 2_000_000);
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.CallerNotPayee.selector, vm.addr(STRANGER), address(this)));
        vm.prank(vm.addr(STRANGER));
        token.receiveWithAuthorization(vm.addr(HOLDER), address(this), 7, 0, 2_000_000, NONCE, v, r, s);
        token.receiveWithAuthorization(vm.addr(HOLDER), address(this), 7, 0, 2_000_000, NONCE, v, r, s);
        equal(token.balanceOf(address(this)), 7, "moved");
    }

    function test_cancelAuthorization() public {
        bytes32 typehash = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
        bytes32 structHash = keccak256(abi.encode(typehash, vm.addr(HOLDER), NONCE));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(STRANGER, digest);
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.AuthorizationNotSigned.selector, vm.addr(HOLDER)));
        token.cancelAuthorization(vm.addr(HOLDER), NONCE, v, r, s);
        (v, r, s) = vm.sign(HOLDER, digest);
        vm.expectEmit(address(token));
        emit DevStablecoin.AuthorizationCanceled(vm.addr(HOLDER), NONCE);
        token.cancelAuthorization(vm.addr(HOLDER), NONCE, v, r, s);
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.AuthorizationSpent.selector, vm.addr(HOLDER), NONCE));
        token.cancelAuthorization(vm.addr(HOLDER), NONCE, v, r, s);
        (v, r, s) = _sign(HOLDER, "TransferWithAuthorization", address(1), 0, 2_000_000);
        vm.expectRevert(abi.encodeWithSelector(DevStablecoin.AuthorizationSpent.selector, vm.addr(HOLDER), NONCE));
        _transfer(v, r, s, 0, 2_000_000);
    }
}

contract DevPriceFeedTest is Checks {
    DevPriceFeed private feed;

    function setUp() public {
        vm.warp(1_000_000);
        feed = new DevPriceFeed(address(this), "OVPP / USD", 8, 5e6);
    }

    function test_saysTheLatestAnswerFresh() public {
        vm.warp(2_000_000);
        (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) = feed.latestRoundData();
        equal(id, 1, "round");
        equal(uint256(answer), 5e6, "answer");
        equal(startedAt, 2_000_000, "started");
        equal(updatedAt, 2_000_000, "fresh");
        equal(answeredIn, 1, "answered in");
        equal(feed.decimals(), 8, "decimals");
        equal(feed.version(), 1, "version");
        equal(keccak256(bytes(feed.description())), keccak256("OVPP / USD"), "description");
    }

    function test_setAnswer() public {
        vm.expectEmit(address(feed));
        emit DevPriceFeed.AnswerUpdated(6e6, 2, 1_000_000);
        feed.setAnswer(6e6);
        (, int256 answer,,,) = feed.latestRoundData();
        equal(uint256(answer), 6e6, "answer");
        (, answer,,,) = feed.getRoundData(1);
        equal(uint256(answer), 5e6, "an earlier round");
    }

    function test_setAnswerAtPinsItsAge() public {
        feed.setAnswerAt(6e6, 900_000);
        (,,, uint256 updatedAt,) = feed.latestRoundData();
        equal(updatedAt, 900_000, "stale");
    }

    function test_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(DevPriceFeed.PriceNotPositive.selector, int256(0)));
        feed.setAnswer(0);
        vm.expectRevert(abi.encodeWithSelector(DevPriceFeed.NoSuchRound.selector, uint80(9)));
        feed.getRoundData(9);
        vm.startPrank(address(1));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(1)));
        feed.setAnswer(1);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(1)));
        feed.setAnswerAt(1, 1);
        vm.stopPrank();
    }
}
