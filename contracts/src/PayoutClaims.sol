// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";

/// @title Payouts to claim
/// @notice Holds what a funder pays out in a round; each payee claims by a Merkle proof, once, until the round ends, and
/// what nobody claimed goes back to the funder. Anybody may bring a proof, but the tokens go to the account it names.
/// @dev A leaf is the Keccak-256 hash, twice, of chain, this contract, round, index, account and amount, each as a word
/// (twice, so that no inner node passes for a leaf), pairs are hashed in the order of their values. A leaf so belongs to
/// one round only; a round pays out no more than what it was funded with, whatever its root says.
contract PayoutClaims {
    using SafeERC20 for IERC20;
    using BitMaps for BitMaps.BitMap;

    /// @notice One round of payouts.
    /// @param funder Who funded it, and gets back what is left.
    /// @param expiresAt Claims end at this Unix time, exclusive.
    /// @param token Token paid in.
    /// @param leftUnits Base units of `token` not yet claimed or returned.
    /// @param root Root of the tree of what is paid to whom.
    struct Round {
        address funder;
        uint48 expiresAt;
        address token;
        uint96 leftUnits;
        bytes32 root;
    }

    /// @notice Rounds by their id.
    mapping(bytes32 roundId => Round) public rounds;

    mapping(bytes32 roundId => BitMaps.BitMap) private _claimed;

    /// @notice A round was opened.
    /// @param roundId Its id.
    /// @param funder Who funded it.
    /// @param token Token paid in.
    /// @param ref The funder's name for it.
    /// @param root Root of the tree of what is paid to whom.
    /// @param amount Base units of `token` held for it.
    /// @param expiresAt Claims end at this Unix time, exclusive.
    event RoundOpened(
        bytes32 indexed roundId,
        address indexed funder,
        address indexed token,
        bytes16 ref,
        bytes32 root,
        uint256 amount,
        uint256 expiresAt
    );

    /// @notice A payout was claimed.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    /// @param account Who was paid.
    /// @param amount Base units of the round's token.
    event Claimed(bytes32 indexed roundId, uint256 indexed index, address indexed account, uint256 amount);

    /// @notice What was left of a round went back to its funder.
    /// @param roundId Of which round.
    /// @param funder Who got it.
    /// @param amount Base units of the round's token.
    event Returned(bytes32 indexed roundId, address indexed funder, uint256 amount);

    /// @notice The funder has opened a round of this name before.
    /// @param roundId Its id.
    error AlreadyOpened(bytes32 roundId);

    /// @notice A round must hold something, and end in the future.
    /// @param amount Base units given.
    /// @param expiresAt End given, Unix time.
    error NothingToClaim(uint256 amount, uint256 expiresAt);

    /// @notice The token delivered another amount than it was told to.
    /// @param received Base units that arrived.
    /// @param amount Base units that should have.
    error ReceivedOtherAmount(uint256 received, uint256 amount);

    /// @notice The round is over, or there is none.
    /// @param roundId Of which round.
    /// @param expiresAt When it ended, Unix time; zero if there is none.
    error RoundOver(bytes32 roundId, uint256 expiresAt);

    /// @notice The round is not over yet.
    /// @param roundId Of which round.
    /// @param expiresAt When it ends, Unix time.
    error RoundNotOver(bytes32 roundId, uint256 expiresAt);

    /// @notice The payout was claimed before.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    error AlreadyClaimed(bytes32 roundId, uint256 index);

    /// @notice The proof does not lead to the round's root.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    error NotInRound(bytes32 roundId, uint256 index);

    /// @notice The round does not hold what the leaf promises.
    /// @param amount Base units promised.
    /// @param leftUnits Base units left.
    error AboveWhatIsLeft(uint256 amount, uint256 leftUnits);

    /// @notice Opens a round and takes what it pays out from the caller.
    /// @param ref The caller's name for it, used once.
    /// @param token Token to pay in; the caller has allowed this contract the amount.
    /// @param amount Base units to hold for it.
    /// @param root Root of the tree of what is paid to whom.
    /// @param expiresAt Claims end at this Unix time, exclusive.
    /// @return roundId Its id, as `roundIdOf` has it.
    function open(bytes16 ref, address token, uint96 amount, bytes32 root, uint48 expiresAt)
        external
        returns (bytes32 roundId)
    {
        if (amount == 0 || expiresAt <= block.timestamp) revert NothingToClaim(amount, expiresAt);
        roundId = roundIdOf(msg.sender, ref);
        if (rounds[roundId].funder != address(0)) revert AlreadyOpened(roundId);
        rounds[roundId] = Round({funder: msg.sender, expiresAt: expiresAt, token: token, leftUnits: amount, root: root});
        emit RoundOpened(roundId, msg.sender, token, ref, root, amount, expiresAt);
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert ReceivedOtherAmount(received, amount);
    }

    /// @notice Pays a leaf of a round to the account that it names, whoever calls.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    /// @param account Who is paid.
    /// @param amount Base units of the round's token.
    /// @param proof Hashes beside the way from the leaf to the root, from below.
    function claim(bytes32 roundId, uint256 index, address account, uint256 amount, bytes32[] calldata proof) external {
        Round memory round = rounds[roundId];
        if (block.timestamp >= round.expiresAt) revert RoundOver(roundId, round.expiresAt);
        if (_claimed[roundId].get(index)) revert AlreadyClaimed(roundId, index);
        if (!MerkleProof.verifyCalldata(proof, round.root, leafOf(roundId, index, account, amount))) {
            revert NotInRound(roundId, index);
        }
        if (amount > round.leftUnits) revert AboveWhatIsLeft(amount, round.leftUnits);
        _claimed[roundId].set(index);
        unchecked {
            rounds[roundId].leftUnits = round.leftUnits - uint96(amount);
        }
        emit Claimed(roundId, index, account, amount);
        IERC20(round.token).safeTransfer(account, amount);
    }

    /// @notice Returns what nobody claimed to the funder of a round that is over, whoever calls; nothing if nothing is
    /// left.
    /// @param roundId Of which round.
    function returnLeft(bytes32 roundId) external {
        Round memory round = rounds[roundId];
        if (round.funder == address(0)) revert RoundOver(roundId, 0);
        if (block.timestamp < round.expiresAt) revert RoundNotOver(roundId, round.expiresAt);
        rounds[roundId].leftUnits = 0;
        emit Returned(roundId, round.funder, round.leftUnits);
        IERC20(round.token).safeTransfer(round.funder, round.leftUnits);
    }

    /// @notice Whether a leaf was claimed.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    function isClaimed(bytes32 roundId, uint256 index) external view returns (bool) {
        return _claimed[roundId].get(index);
    }

    /// @notice Id of a round.
    /// @param funder Who funds it.
    /// @param ref The funder's name for it.
    function roundIdOf(address funder, bytes16 ref) public pure returns (bytes32) {
        return keccak256(abi.encode(funder, ref));
    }

    /// @notice A leaf of a round's tree.
    /// @param roundId Of which round.
    /// @param index Which leaf of it.
    /// @param account Who is paid.
    /// @param amount Base units of the round's token.
    function leafOf(bytes32 roundId, uint256 index, address account, uint256 amount) public view returns (bytes32) {
        return
            keccak256(
                bytes.concat(keccak256(abi.encode(block.chainid, address(this), roundId, index, account, amount)))
            );
    }
}
