// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title An account that pays bills by session
interface IBillPayer {
    /// @notice Pays a bill for the session that `policy` describes; reached through the EntryPoint.
    /// @param policy Packed session policy.
    /// @param ref Random name of the payment.
    /// @param amount Due to the payee, in base units of the policy's token.
    /// @param fee Network fee, in base units of the token that it is paid in; zero when the utility absorbs it.
    /// @param inFeeToken Whether the fee is paid in the policy's fee token, by a second transfer to the payee;
    /// otherwise it is in the bill's token, in the same transfer as the amount.
    function payBill(bytes32[5] calldata policy, bytes16 ref, uint256 amount, uint256 fee, bool inFeeToken) external;
}
