// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";

/// @title A price feed for development chains
/// @notice Answers what its owner last said, in the shape of a Chainlink feed, and says that it is fresh, as nobody
/// keeps a development chain's prices up to date; `setAnswerAt` makes it say another time.
contract DevPriceFeed is IAggregatorV3, Ownable {
    /// @param answer Price, in units of `decimals`.
    /// @param updatedAt When it was given, Unix time, or zero for "just now".
    struct Round {
        int256 answer;
        uint256 updatedAt;
    }

    /// @inheritdoc IAggregatorV3
    uint8 public immutable decimals;

    /// @inheritdoc IAggregatorV3
    uint256 public constant version = 1;

    /// @inheritdoc IAggregatorV3
    string public description;

    uint80 private _latest;
    mapping(uint80 roundId => Round) private _rounds;

    /// @notice The price changed.
    /// @param current New price, in units of `decimals`.
    /// @param roundId Round of the price.
    /// @param updatedAt When, Unix time.
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    /// @notice A price must be above zero.
    /// @param answer What was said.
    error PriceNotPositive(int256 answer);

    /// @notice No such round.
    /// @param roundId What was asked for.
    error NoSuchRound(uint80 roundId);

    /// @param owner Who says the price.
    /// @param description_ What it is the price of.
    /// @param decimals_ Decimals of the price.
    /// @param answer First price.
    constructor(address owner, string memory description_, uint8 decimals_, int256 answer) Ownable(owner) {
        description = description_;
        decimals = decimals_;
        _set(answer, 0);
    }

    /// @notice Says a new price, fresh at any time.
    /// @param answer Price, in units of `decimals`.
    function setAnswer(int256 answer) external onlyOwner {
        _set(answer, 0);
    }

    /// @notice Says a new price with the time at which it was given.
    /// @param answer Price, in units of `decimals`.
    /// @param updatedAt When, Unix time.
    function setAnswerAt(int256 answer, uint256 updatedAt) external onlyOwner {
        _set(answer, updatedAt);
    }

    /// @inheritdoc IAggregatorV3
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(_latest);
    }

    /// @inheritdoc IAggregatorV3
    function getRoundData(uint80 roundId) public view returns (uint80, int256, uint256, uint256, uint80) {
        Round memory round = _rounds[roundId];
        if (round.answer == 0) revert NoSuchRound(roundId);
        uint256 updatedAt = round.updatedAt == 0 ? block.timestamp : round.updatedAt;
        return (roundId, round.answer, updatedAt, updatedAt, roundId);
    }

    function _set(int256 answer, uint256 updatedAt) private {
        if (answer <= 0) revert PriceNotPositive(answer);
        _latest += 1;
        _rounds[_latest] = Round(answer, updatedAt);
        emit AnswerUpdated(answer, _latest, updatedAt == 0 ? block.timestamp : updatedAt);
    }
}
