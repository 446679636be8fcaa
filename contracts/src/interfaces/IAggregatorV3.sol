// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A price feed as Chainlink shapes it
interface IAggregatorV3 {
    /// @notice Decimals of the answer.
    function decimals() external view returns (uint8);

    /// @notice What the answer is the price of, such as "OVPP / USD".
    function description() external view returns (string memory);

    /// @notice Version of the feed.
    function version() external view returns (uint256);

    /// @notice The answer of one round.
    function getRoundData(uint80 roundId)
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);

    /// @notice The latest answer; `updatedAt` tells how fresh it is.
    function latestRoundData()
        external
        view
        returns (uint80 id, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
